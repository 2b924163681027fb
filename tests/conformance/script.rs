//! Exchanges written down as RFC 3435's appendices do, played against a [`World`].
//!
//! ```text
//! > CRCX 1204 ds/e1-1/1@gw MGCP 1.0      what the call agent sends
//! > C: A3C47F21456789F0
//!
//! < 200 1204 OK                          what the gateway must send then, word by word
//! < I: $id                               a word to remember, or to find again
//! <                                      an empty line of the message
//! < o=- * * IN IP4 10.0.0.1              any word, or any part of one
//! < (ours $session $port 10)             the gateway's description: PCMU, packets of 10 ms
//!
//! > MDCX 1205 ds/e1-1/1@gw MGCP 1.0
//! > ...
//! > (theirs 25678 753849 128.96.41.1 3456)   the call agent's: session, version, address and port
//!
//! > (again)                              what the call agent sent last
//! ```
//!
//! An empty line ends a message. A line that begins with `#` is for the reader, and empty to others.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tests::{Reply, World};

/// How long the gateway may take to say what it must.
const PATIENCE: Duration = Duration::from_secs(5);

/// Plays a script.
///
/// # Panics
/// If the gateway says something else, or nothing, or more.
pub(crate) fn play(w: &mut World, script: &str) {
    w.agent_answers = false;
    let mut words = HashMap::new();
    let mut replies = VecDeque::new();
    for (is_agents, message) in messages(script) {
        if is_agents {
            w.send_text(&fill(&message, &words).replace('\n', "\r\n"));
        } else {
            expect(w, &mut replies, &message, &mut words);
        }
    }
    w.run_for(Duration::from_millis(100));
    replies.extend(w.take_replies());
    assert!(replies.is_empty(), "the script is over: {replies:?}");
}

/// What the gateway says of itself when PCMU was asked for, given a session, a port and a packet time.
const OURS: &str = "v=0
o=- {0} 0 IN IP4 10.0.0.1
s=-
c=IN IP4 10.0.0.1
t=0 0
m=audio {1} RTP/AVP 0
a=rtpmap:0 PCMU/8000
a=ptime:{2}";

/// What the RFC's call agent says of the other side, given a session, its version, an address and a port.
const THEIRS: &str = "v=0
o=- {0} {1} IN IP4 {2}
s=-
c=IN IP4 {2}
t=0 0
m=audio {3} RTP/AVP 0";

/// The messages of a script: whether the call agent sends it, and its lines.
fn messages(script: &str) -> Vec<(bool, String)> {
    let mut all: Vec<(bool, String)> = Vec::new();
    let mut goes_on = false;
    for line in script.lines().map(str::trim).map(|line| if line.starts_with('#') { "" } else { line }) {
        let Some(side) = line.chars().next() else {
            goes_on = false;
            continue;
        };
        assert!(matches!(side, '<' | '>'), "a line of a script begins with < or >: {line}");
        let line = line[1..].trim();
        let lines = match line.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
            Some("again") => {
                all.iter().rfind(|(is_agents, _)| *is_agents).expect("it spoke before").1.clone()
            }
            Some(short) => spelt_out(short) + "\n",
            None => line.to_owned() + "\n",
        };
        match all.last_mut() {
            Some((_, message)) if goes_on => message.push_str(&lines),
            _ => all.push((side == '>', lines)),
        }
        goes_on = true;
    }
    all
}

/// The lines that a short form stands for.
fn spelt_out(short: &str) -> String {
    let mut words = short.split_whitespace();
    let template = match words.next() {
        Some("ours") => OURS,
        Some("theirs") => THEIRS,
        _ => panic!("there is no short form ({short})"),
    };
    words.enumerate().fold(template.to_owned(), |text, (i, word)| text.replace(&format!("{{{i}}}"), word))
}

/// Puts in the words that are remembered.
fn fill(text: &str, words: &HashMap<String, String>) -> String {
    let mut text = text.to_owned();
    for (name, word) in words {
        text = text.replace(name, word);
    }
    text
}

/// Waits for the gateway's next message of this kind, and compares.
fn expect(w: &mut World, replies: &mut VecDeque<Reply>, pattern: &str, words: &mut HashMap<String, String>) {
    let until = w.now() + PATIENCE;
    let is_reply = pattern.starts_with(|c: char| c.is_ascii_digit());
    let said = loop {
        replies.extend(w.take_replies());
        let said = if is_reply {
            replies.pop_front().map(|reply| reply.text)
        } else {
            (!w.commands.is_empty()).then(|| w.commands.remove(0))
        };
        if let Some(said) = said {
            break said;
        }
        assert!(w.now() < until, "the gateway does not say {pattern}");
        w.run_for(Duration::from_millis(5));
    };
    let lines: Vec<_> = said.trim_end().lines().collect();
    let patterns: Vec<_> = pattern.trim_end().lines().collect();
    assert_eq!(lines.len(), patterns.len(), "wanted:\n{pattern}\nsaid:\n{said}");
    for (line, pattern) in lines.iter().zip(patterns) {
        assert!(is_like(line, pattern, words), "wanted: {pattern}\nsaid: {line}\nin:\n{said}");
    }
}

fn is_like(line: &str, pattern: &str, words: &mut HashMap<String, String>) -> bool {
    let (given, wanted): (Vec<_>, Vec<_>) =
        (line.split_whitespace().collect(), pattern.split_whitespace().collect());
    given.len() == wanted.len()
        && given.iter().zip(wanted).all(|(given, wanted)| match wanted.strip_prefix('$') {
            Some(_) if !words.contains_key(wanted) => {
                words.insert(wanted.to_owned(), (*given).to_owned());
                true
            }
            _ => is_word_like(given, &fill(wanted, words)),
        })
}

/// Whether a word is like a pattern, in which `*` stands for any letters.
fn is_word_like(word: &str, pattern: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return word == pattern };
    let Some(rest) = word.strip_prefix(head) else { return false };
    (0..=rest.len()).any(|at| rest.is_char_boundary(at) && is_word_like(&rest[at..], tail))
}
