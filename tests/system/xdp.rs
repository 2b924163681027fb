//! Media past the kernel: the binary with a program on an interface.

use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::process::{Child, Command};
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};

use crate::ffmpeg::{self, Ground};
use crate::harness::{Running, has, left_out};

const SETTINGS: &str = "port_first = 20000\nport_last = 20999\ndriver = \"xdp\"\nxdp_interface = \"gw0\"\n";

/// Runs iproute2 in this thread's network; what it says, if it could do it.
fn ip(command: &str) -> Result<String, String> {
    let output = Command::new("ip").args(command.split(' ')).output().map_err(|error| error.to_string())?;
    let said = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    if output.status.success() { Ok(said(&output.stdout)) } else { Err(said(&output.stderr)) }
}

/// A network of this thread's own, with an interface `gw0`.
fn own_network() -> Result<(), String> {
    unshare(CloneFlags::CLONE_NEWNET).map_err(|error| error.to_string())?;
    ["link set lo up", "link add gw0 type veth peer name peer0", "link set gw0 up", "link set peer0 up"]
        .iter()
        .try_for_each(|command| ip(command).map(drop))
}

/// Runs a test in a network of its own, which it needs to be privileged for.
fn in_own_network(test: fn()) {
    let run = move || own_network().map(|()| test());
    match thread::spawn(run).join() {
        Ok(Ok(())) => {}
        Ok(Err(reason)) => left_out(&format!("network namespaces and veth pairs: {reason}")),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn has_program() -> bool {
    ip("link show gw0").expect("it is there").contains("xdp")
}

/// Starts a gateway on the interface that cannot have it; what it says.
fn refused(settings: &str) -> String {
    let folder = std::env::temp_dir().join(format!("tollgate-test-xdp-{}", nix::unistd::gettid()));
    std::fs::create_dir_all(&folder).expect("a folder can be made");
    let file = folder.join("tollgate.toml");
    let text = format!(
        "[mgcp]\nlisten = [\"127.9.9.9:2427\"]\n[media]\naddresses = [\"127.9.9.9\"]\n{SETTINGS}{settings}"
    );
    std::fs::write(&file, text).expect("a file can be written");
    let run = Command::new(crate::harness::binary()).args(["run", "--config"]).arg(&file).output();
    let run = run.expect("the binary starts");
    std::fs::remove_dir_all(&folder).expect("it is ours");
    assert!(!run.status.success());
    String::from_utf8_lossy(&run.stderr).into_owned()
}

#[test]
fn a_gateway_that_is_killed_leaves_no_program_on_the_interface() {
    in_own_network(|| {
        let mut gateway = Running::start(SETTINGS);
        assert!(has_program(), "{}", gateway.log());
        assert!(gateway.log().contains("media go past the kernel"), "{}", gateway.log());
        // The next one finds the interface free, or it would not start.
        gateway.crash_and_restart();
        assert_eq!(gateway.ask("AUEP ds/e1-1/1@gw", "").code, 200, "MGCP is the kernel's as before");
        assert_eq!(gateway.stop(), Some(0), "{}", gateway.log());
        assert!(!has_program(), "nor does one that was told to stop");
    });
}

#[test]
fn a_gateway_that_cannot_have_its_interface_says_why_and_takes_nothing() {
    in_own_network(|| {
        let first = Running::start(SETTINGS);
        let said = refused("");
        assert!(said.contains("attaching the XDP program on gw0: another program has it already"), "{said}");
        assert!(has_program(), "the first goes on");
        drop(first);
    });
}

/// The addresses of the gateway's end of a wire and of the peers'.
const ENDS: [Ipv4Addr; 2] = [Ipv4Addr::new(198, 51, 100, 1), Ipv4Addr::new(198, 51, 100, 2)];

/// Takes the other end of this thread's wire to a network of its own, with addresses at both.
fn far_network() -> File {
    let make = || {
        unshare(CloneFlags::CLONE_NEWNET).expect("there is one of this thread's already");
        File::open("/proc/thread-self/ns/net").expect("/proc is there")
    };
    let far = thread::spawn(make).join().expect("a network is made");
    let path = format!("/proc/{}/fd/{}", std::process::id(), far.as_raw_fd());
    let near = [&format!("addr add {}/24 dev gw0", ENDS[0]), &format!("link set peer0 netns {path}")];
    near.into_iter().for_each(|command| drop(ip(command).expect("this end is ours")));
    let addressed = || {
        setns(&far, CloneFlags::CLONE_NEWNET).expect("it is there");
        let commands = [&format!("addr add {}/24 dev peer0", ENDS[1]), "link set lo up", "link set peer0 up"];
        commands.into_iter().for_each(|command| drop(ip(command).expect("that end is ours")));
    };
    thread::scope(|scope| scope.spawn(addressed).join()).expect("it has addresses");
    far
}

/// Starts a program in a network.
fn start_in(network: &File, command: &mut Command) -> Child {
    let start = || {
        setns(network, CloneFlags::CLONE_NEWNET).expect("it is there");
        command.spawn().expect("the program starts")
    };
    thread::scope(|scope| scope.spawn(start).join()).expect("the program starts")
}

#[test]
fn ffmpeg_over_a_wire_and_a_gateway_past_the_kernel_hear_each_other() {
    if !has("ffmpeg") {
        return;
    }
    in_own_network(|| {
        let far = far_network();
        let gateway =
            |settings: &str| Running::start_with_media(Some(ENDS), &format!("{SETTINGS}{settings}"));
        let past_the_kernel = |log: &str| {
            let of = |name| {
                let mut words = log.split_ascii_whitespace().rev();
                let number = words.find_map(|word| word.strip_prefix(name)).unwrap_or("0");
                number.parse::<u64>().expect("counters are numbers")
            };
            let (received, around) = (of("rtp_received_packets="), of("datagrams_around="));
            assert!(received > 2_000 && around < received / 10, "{received} received, {around} around");
        };
        let program = |command: &mut Command| start_in(&far, command);
        let ground = Ground { gateway: &gateway, program: &program, check: &past_the_kernel };
        ffmpeg::records_what_ffmpeg_sends(&ground);
        ffmpeg::lets_ffmpeg_hear_a_tone(&ground);
    });
}

#[test]
fn zero_copy_that_the_interface_has_not_is_refused_by_name() {
    in_own_network(|| {
        let said = refused("xdp_mode = \"zero-copy\"\n");
        assert!(said.contains("its driver does not do this: try another mode"), "{said}");
        assert!(!has_program(), "nothing is left behind");
    });
}
