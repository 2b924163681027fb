//! Name look-ups, which may take seconds, on a thread of their own.

use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

/// Look-ups that can wait at a time.
const QUEUE: usize = 64;

/// How long an answer holds.
// RFC 3435 §2.1.4: no longer than its record does. The host's resolver keeps track of that and does not tell,
// so it is asked again for whatever is sent later than this; §4.3 calls an answer of that age recent.
pub(super) const TTL: Duration = Duration::from_secs(5);

/// The thread's two queues. It ends when this is dropped, after the look-up it is at.
pub(super) struct Resolver {
    questions: SyncSender<String>,
    answers: Receiver<(String, Vec<IpAddr>)>,
}

impl Resolver {
    /// Starts the thread; `wake` is called when there is an answer.
    pub(super) fn start(wake: Box<dyn Fn() + Send>) -> io::Result<Self> {
        let (questions, asked) = sync_channel::<String>(QUEUE);
        let (answered, answers) = sync_channel(QUEUE);
        thread::Builder::new().name("resolver".to_owned()).spawn(move || {
            for host in asked {
                let addresses = look_up(&host);
                if answered.send((host, addresses)).is_err() {
                    break;
                }
                wake();
            }
        })?;
        Ok(Self { questions, answers })
    }

    /// Asks for a name's addresses. Gives the name back when too many wait.
    pub(super) fn ask(&self, host: String) -> Result<(), String> {
        self.questions.try_send(host).map_err(|error| match error {
            TrySendError::Full(host) | TrySendError::Disconnected(host) => host,
        })
    }

    /// A name that has been looked up; without addresses, in vain.
    pub(super) fn poll_answer(&self) -> Option<(String, Vec<IpAddr>)> {
        self.answers.try_recv().ok()
    }
}

/// The host's own way of looking up: hosts file, DNS, whatever it is set to.
fn look_up(host: &str) -> Vec<IpAddr> {
    let found = (host, 0).to_socket_addrs().map(|all| all.map(|address| address.ip()).collect());
    let mut addresses: Vec<IpAddr> = found.unwrap_or_default();
    // The resolver repeats an address for each kind of socket.
    addresses.dedup();
    addresses
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn an_answer_wakes_whoever_waits_for_it() {
        let (woken, waiting) = channel();
        let resolver = Resolver::start(Box::new(move || woken.send(()).expect("the test waits"))).unwrap();
        resolver.ask("localhost".to_owned()).unwrap();
        waiting.recv().unwrap();
        let (host, addresses) = resolver.poll_answer().unwrap();
        assert_eq!(host, "localhost");
        assert!(addresses.iter().all(IpAddr::is_loopback) && !addresses.is_empty());
    }

    #[test]
    fn an_address_is_its_own_name() {
        assert_eq!(look_up("192.0.2.1"), ["192.0.2.1".parse::<IpAddr>().unwrap()]);
    }
}
