//! Starting and stopping: all or nothing, and nothing left behind.

use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;

use drivers::time::Clock;
use nix::sys::signal::Signal;

use crate::harness::{Running, binary};

#[test]
fn sigterm_says_goodbye_stops_within_a_second_and_frees_every_port() {
    let mut gateway = Running::start("port_first = 20000\nport_last = 20999\n");
    let first = gateway.connect("ds/e1-1/1", "recvonly", "");
    let sdp = first.description().expect("a connection is described").to_owned();
    gateway.connect("ds/e1-2/1", "sendrecv", &sdp);
    gateway.listen();
    gateway.commands.clear();
    let begun = Clock.now();
    assert_eq!(gateway.stop(), Some(0), "{}", gateway.log());
    let took = Clock.now().since(begun);
    gateway.listen();
    assert!(took < Duration::from_millis(1_200), "stopping took {took:?} (watched every 0.2 s)");
    assert!(
        gateway.commands.iter().any(|c| c.starts_with("RSIP ") && c.contains("RM: forced")),
        "{:?}",
        gateway.commands
    );
    for port in (20_000..=20_999).chain([2_427]) {
        UdpSocket::bind((gateway.address, port)).unwrap_or_else(|e| panic!("port {port} is left bound: {e}"));
    }
}

#[test]
fn sighup_takes_spans_out_of_service_and_back() {
    let mut gateway =
        Running::start("port_first = 20000\nport_last = 20999\n[[span]]\nservice = \"in\"\ncount = 2\n");
    let file = gateway.folder.join("tollgate.toml");
    let text = std::fs::read_to_string(&file).expect("its configuration");
    let mut reload = |text: &str, method: &str| {
        std::fs::write(&file, text).expect("a file can be written");
        gateway.commands.clear();
        nix::sys::signal::kill(gateway.pid(), Signal::SIGHUP).expect("it is running");
        let told = |commands: &[String]| {
            commands.iter().any(|c| c.starts_with("RSIP ") && c.contains(&format!("RM: {method}")))
        };
        for _ in 0..20 {
            gateway.listen();
            if told(&gateway.commands) {
                break;
            }
        }
        assert!(told(&gateway.commands), "{method}: {:?}\n{}", gateway.commands, gateway.log());
        gateway.ask("CRCX ds/e1-1/1@gw", "C: 1\r\nM: recvonly\r\n").code
    };
    assert_eq!(reload(&text.replace("\"in\"", "\"out\""), "forced"), 501);
    assert_eq!(reload(&text, "restart"), 200);
    // What is wrong changes nothing, and ends nothing.
    std::fs::write(&file, "nonsense").expect("a file can be written");
    nix::sys::signal::kill(gateway.pid(), Signal::SIGHUP).expect("it is running");
    assert_eq!(gateway.ask("AUEP ds/e1-1/1@gw", "").code, 200);
    assert_eq!(gateway.stop(), Some(0), "{}", gateway.log());
    assert!(gateway.log().contains("nothing is changed"), "{}", gateway.log());
}

#[test]
fn a_gateway_that_was_killed_can_be_started_again_at_once() {
    let mut gateway = Running::start("port_first = 20000\nport_last = 20999\n");
    gateway.connect("ds/e1-1/1", "recvonly", "");
    gateway.crash_and_restart();
    gateway.connect("ds/e1-1/1", "recvonly", "");
}

#[test]
fn a_taken_port_is_named_and_nothing_starts() {
    let mut gateway = Running::start("port_first = 20000\nport_last = 20999\n");
    let config = gateway.folder.join("tollgate.toml");
    let second = Command::new(binary()).args(["run", "--config"]).arg(&config).output().expect("it runs");
    let said =
        String::from_utf8_lossy(&second.stderr).into_owned() + &String::from_utf8_lossy(&second.stdout);
    assert!(!second.status.success());
    assert!(said.contains(&format!("{}:2427", gateway.address)) || said.contains("20000"), "{said}");
    assert_eq!(gateway.ask("AUEP ds/e1-1/1@gw", "").code, 200, "the first goes on");
}

#[test]
fn a_call_goes_on_when_the_call_agent_is_gone() {
    let mut gateway = Running::start("");
    let peer = UdpSocket::bind((gateway.others, 32_000)).expect("nobody else has this address");
    peer.set_read_timeout(Some(Duration::from_secs(1))).expect("a socket takes a timeout");
    let sdp = gateway.peer(32_000, 8);
    gateway.connect("ds/e1-1/1", "sendrecv", &sdp);
    // The agent says nothing from here on. A hundred packets are two seconds.
    let mut buffer = [0; 2_048];
    let mut last = None;
    for _ in 0..100 {
        let (n, _) = peer.recv_from(&mut buffer).expect("RTP goes on");
        assert_eq!(n, 172);
        let sequence = u16::from_be_bytes([buffer[2], buffer[3]]);
        assert!(last.is_none_or(|last: u16| sequence == last.wrapping_add(1)), "no packet is missing");
        last = Some(sequence);
    }
}
