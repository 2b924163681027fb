//! Sockets of each kind, on a thread that may allocate nothing and may ask the kernel for nothing but what
//! its kind is planned to: sending, receiving, more in a tick than is read at once, marks that change.
//!
//! The kernel itself watches (seccomp): a thread that makes any other call is ended by it.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use drivers::net::mmsg::MmsgSockets;
use drivers::net::uring::UringSockets;
use drivers::net::xdp::{Interface, XdpSockets};
use drivers::net::{BoundSockets, Dscp, PortRange, PortSlot, Ports, RtpSockets, Settings, XdpMode};
use drivers::time::{Clock, Instant};
use nix::libc;
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::gettid;

use super::{broken, seal};

const PAIRS: u16 = 64;
const TICKS: u32 = 600;

/// A tick of some sockets: how many datagrams they sent and received in it.
type Tick = Box<dyn FnMut(u32) -> [u64; 2]>;

#[test]
fn plain_sockets_allocate_nothing_and_make_no_call_but_theirs() {
    let plan = [
        libc::SYS_epoll_wait,
        libc::SYS_epoll_pwait,
        libc::SYS_recvmmsg,
        libc::SYS_sendmmsg,
        libc::SYS_setsockopt,
    ];
    let [sent, received] = on_plan(&plan, || {
        let (ports, bound) = on_loopback(1);
        let sockets = MmsgSockets::new(bound).map_err(|error| error.to_string())?;
        Ok(to_itself(ports, sockets))
    })
    .expect("the kernel watches sockets");
    assert!(sent > 80_000 && received == sent, "{sent} sent, {received} received");
}

#[test]
fn an_io_uring_allocates_nothing_and_makes_no_call_but_its_own() {
    let plan = [libc::SYS_io_uring_enter, libc::SYS_setsockopt];
    let counted = on_plan(&plan, || {
        let (ports, bound) = on_loopback(2);
        let sockets = UringSockets::new(bound).map_err(|error| error.to_string())?;
        Ok(to_itself(ports, sockets))
    });
    match counted {
        Ok([sent, received]) => {
            assert!(sent > 80_000 && received == sent, "{sent} sent, {received} received");
        }
        Err(reason) => println!("LEFT OUT: io_uring: {reason}"),
    }
}

#[test]
fn af_xdp_allocates_nothing_and_makes_no_call_but_its_own() {
    // To send and to wake, to ask what was dropped; and those of the sockets that are the way around.
    let plan = [
        libc::SYS_sendto,
        libc::SYS_recvfrom,
        libc::SYS_getsockopt,
        libc::SYS_epoll_wait,
        libc::SYS_epoll_pwait,
        libc::SYS_recvmmsg,
        libc::SYS_sendmmsg,
        libc::SYS_setsockopt,
    ];
    match on_plan(&plan, over_a_wire) {
        // A veth pair has room for 256 frames, and drops what a busy machine leaves lying for longer.
        Ok([sent, received]) => {
            assert!(sent > 100_000 && received > sent / 10 * 9, "{sent} sent, {received} received");
        }
        Err(reason) => println!("LEFT OUT: AF_XDP: {reason}"),
    }
}

#[test]
fn a_call_that_is_not_planned_ends_its_thread() {
    let ended = on_plan(&[], || Ok(Box::new(|_| [u64::from(File::open("/proc/version").is_ok()), 0])));
    let reason = ended.expect_err("nobody planned to open a file");
    assert!(reason.contains("not planned"), "{reason}");
}

/// Does the ticks on a thread of their own, sealed and on this plan; says what was sent and received.
fn on_plan(
    plan: &[libc::c_long],
    make: impl FnOnce() -> Result<Tick, String> + Send + 'static,
) -> Result<[u64; 2], String> {
    let (begin, begun) = mpsc::sync_channel(1);
    let done = Arc::new(Done::default());
    let (plan, result) = (plan.to_vec(), Arc::clone(&done));
    thread::spawn(move || {
        let mut tick = match make() {
            Ok(tick) => tick,
            Err(reason) => return begin.send(Err(reason)).expect("somebody waits"),
        };
        let filter = Filter::new(&plan);
        begin.send(Ok(gettid())).expect("somebody waits");
        filter.install();
        let mut counted = [0; 2];
        seal(true);
        for number in 0..TICKS {
            let [sent, received] = tick(number);
            counted = [counted[0] + sent, counted[1] + received];
        }
        seal(false);
        let numbers = [counted[0], counted[1], broken()];
        result.numbers.iter().zip(numbers).for_each(|(to, number)| to.store(number, Ordering::Relaxed));
        result.is_done.store(true, Ordering::Release);
        // Nothing can be given back with so few calls: that is done when the process ends.
        loop {
            sleep(Duration::from_secs(1));
        }
    });
    let thread = begun.recv().map_err(|_| "it could not be made")??;
    let task = format!("/proc/self/task/{thread}");
    while !done.is_done.load(Ordering::Acquire) {
        if !Path::new(&task).exists() {
            return Err("it made a system call that is not planned: `strace -f` names it".to_owned());
        }
        thread::yield_now();
    }
    let [sent, received, broken] = done.numbers.each_ref().map(|number| number.load(Ordering::Relaxed));
    println!("{sent} sent, {received} received");
    assert_eq!(broken, 0, "sockets allocated; QUIET_BACKTRACE=1 shows where");
    Ok([sent, received])
}

/// What a thread has done, for whoever waits for it without a call that it would have to answer.
#[derive(Default)]
struct Done {
    is_done: AtomicBool,
    /// Datagrams sent and received, allocations and frees.
    numbers: [AtomicU64; 3],
}

fn sleep(time: Duration) {
    let until = nix::sys::time::TimeSpec::from_duration(time);
    // Whatever ends it, it is called again.
    let _ = nix::time::clock_nanosleep(
        nix::time::ClockId::CLOCK_MONOTONIC,
        nix::time::ClockNanosleepFlags::empty(),
        &until,
    );
}

/// A filter of system calls.
struct Filter(Vec<libc::sock_filter>);

impl Filter {
    /// Lets these through, and those that wait or tell the time; whoever makes another is ended.
    fn new(plan: &[libc::c_long]) -> Self {
        const ALWAYS: [libc::c_long; 3] =
            [libc::SYS_clock_nanosleep, libc::SYS_clock_gettime, libc::SYS_restart_syscall];
        let instruction = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
        // The number of the call is the first word that a filter is given.
        let mut program = vec![instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0)];
        for call in plan.iter().chain(&ALWAYS) {
            let is_it = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
            program.push(instruction(is_it, 0, 1, *call as u32));
            program.push(instruction(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW));
        }
        program.push(instruction(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_KILL_THREAD));
        Self(program)
    }

    /// From now on and for good, on this thread alone.
    fn install(mut self) {
        nix::sys::prctl::set_no_new_privs().expect("it can always be had");
        let program = libc::sock_fprog { len: self.0.len() as u16, filter: self.0.as_mut_ptr() };
        // SAFETY: the program is as long as is said and lives until the kernel has copied it. Needed because
        // nix does not wrap it.
        let result =
            unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
        assert_eq!(result, 0, "the kernel takes the filter");
        // It would be freed otherwise, which might be a call.
        std::mem::forget(self);
    }
}

fn settings(ports: &Ports) -> Settings {
    Settings { receive_buffers: 128, sends: 16, ..Settings::for_slots(ports.slots()) }
}

fn on_loopback(kind: u8) -> (Ports, BoundSockets) {
    let [.., high, low] = std::process::id().to_be_bytes();
    let address = Ipv4Addr::new(127, high | 0x40, low, kind);
    let ports = Ports(vec![PortRange { address: address.into(), first: 20_000, pairs: PAIRS }]);
    let bound = BoundSockets::bind(&ports, Dscp::EF, settings(&ports)).expect("these ports are free");
    (ports, bound)
}

/// Each slot sends to another: in a tick one datagram each, or none but an empty one, or four
/// each.
fn to_itself(ports: Ports, mut sockets: impl RtpSockets + 'static) -> Tick {
    Box::new(move |number| {
        let (mut sent, mut received) = (0, 0);
        // The last ticks take what comes late, or is read in its time.
        let mut until = Clock.now() + Duration::from_millis(10);
        if number < TICKS - 8 {
            until = Instant::ZERO;
            let (len, times) =
                if number % 50 == 7 { (0, 1) } else { (172, if number % 20 == 3 { 4 } else { 1 }) };
            let to = |slot: PortSlot| ports.address(PortSlot(slot.0 ^ 5)).expect("a power of two");
            sent = send_each(&ports, &mut sockets, &to, len, times);
            let mark = if number.is_multiple_of(100) { Dscp::default() } else { Dscp::EF };
            ports.iter().for_each(|(slot, _)| sockets.mark(slot, mark));
        }
        sockets.flush(until).expect("sockets work");
        sockets.receive(|_, _, _, _| received += 1);
        [sent, received]
    })
}

/// Sends so many datagrams of that length from each slot; says how many found room.
fn send_each(
    ports: &Ports,
    sockets: &mut impl RtpSockets,
    to: &dyn Fn(PortSlot) -> SocketAddr,
    len: usize,
    times: u32,
) -> u64 {
    let mut sent = 0;
    for (slot, _) in ports.iter() {
        for _ in 0..times {
            sent += u64::from(sockets.send(slot, to(slot), len, |octets| octets.fill(len as u8)).is_ok());
        }
    }
    sent
}

/// Sockets at both ends of a veth pair, each of which sends to the other.
fn over_a_wire() -> Result<Tick, String> {
    let [there, here] = [namespace()?, namespace()?];
    let text = |error: nix::errno::Errno| error.to_string();
    setns(&here, CloneFlags::CLONE_NEWNET).map_err(text)?;
    let pid = std::process::id();
    let descriptor = std::os::fd::AsRawFd::as_raw_fd(&there);
    ip(&format!("link add quiet0 type veth peer name quiet1 netns /proc/{pid}/fd/{descriptor}"))?;
    let mut ends = Vec::new();
    for (end, namespace) in [(0, &here), (1, &there)] {
        setns(namespace, CloneFlags::CLONE_NEWNET).map_err(text)?;
        let address = IpAddr::from([198, 18, 0, end + 1]);
        ip(&format!("addr add {address}/24 dev quiet{end}"))?;
        ip(&format!("link set quiet{end} up"))?;
        let ports = Ports(vec![PortRange { address, first: 20_000, pairs: PAIRS }]);
        let interface = Interface::attach(None, XdpMode::Auto, slice::from_ref(&ports));
        let interface = interface.map_err(|error| error.to_string())?;
        let bound = BoundSockets::bind(&ports, Dscp::EF, settings(&ports)).expect("these ports are free");
        let sockets = XdpSockets::new(bound, &interface, 0).map_err(|error| error.to_string())?;
        ends.push((ports, sockets));
    }
    let mut ends: [(Ports, XdpSockets); 2] = ends.try_into().map_err(|_| "there are two ends")?;
    become_known(&mut ends)?;
    Ok(Box::new(move |number| exchange(&mut ends, number)))
}

/// A tick of both ends: each slot sends a datagram to the same slot of the other end.
fn exchange(ends: &mut [(Ports, XdpSockets); 2], number: u32) -> [u64; 2] {
    let mut counted = [0; 2];
    let len = if number % 50 == 7 { 0 } else { 172 };
    for end in 0..2 {
        let [(near, a), (far, b)] = &mut *ends;
        let (ports, others, sockets) = if end == 0 { (near, far, a) } else { (far, near, b) };
        let to = |slot| others.address(slot).expect("both ends have as many");
        if number < TICKS - 8 {
            counted[0] += send_each(ports, sockets, &to, len, 1);
            let mark = if number.is_multiple_of(100) { Dscp::default() } else { Dscp::EF };
            ports.iter().for_each(|(slot, _)| sockets.mark(slot, mark));
        }
        sockets.flush(Instant::ZERO).expect("sockets work");
    }
    for (_, sockets) in ends {
        sockets.receive(|_, _, _, _| counted[1] += 1);
    }
    counted
}

/// Sends until all goes past the kernel.
fn become_known(ends: &mut [(Ports, XdpSockets); 2]) -> Result<(), String> {
    for number in 0..500 {
        let around = |ends: &[(Ports, XdpSockets); 2]| -> u64 {
            ends.iter().map(|(_, sockets)| sockets.counters().around).sum()
        };
        let before = around(ends);
        exchange(ends, number);
        if around(ends) == before {
            return Ok(());
        }
        ends[0].1.flush(Clock.now() + Duration::from_millis(10)).expect("sockets work");
    }
    Err("the other end never became known".to_owned())
}

/// A network namespace that lasts as long as somebody has it open.
fn namespace() -> Result<File, String> {
    unshare(CloneFlags::CLONE_NEWNET).map_err(|error| format!("no network namespaces: {error}"))?;
    File::open("/proc/thread-self/ns/net").map_err(|error| error.to_string())
}

/// Runs iproute2 on this thread's side.
fn ip(command: &str) -> Result<(), String> {
    let output = Command::new("ip").args(command.split(' ')).output().map_err(|e| format!("no `ip`: {e}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("ip {command}: {said}")) }
}
