//! What a demo comes to: figures, and whether all is well.

use std::fmt;
use std::time::Duration;

use control::mgcp::message::ConnectionParameters;
use dataplane::dsp::concealment;

use super::ear::Heard;

/// What became of one call.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct CallResult {
    /// Its two endpoints.
    pub(super) endpoints: [String; 2],
    /// How long it took to set up; `None` if it was never up.
    pub(super) took: Option<Duration>,
    /// Why it failed.
    pub(super) failure: Option<String>,
    /// What came of each end.
    pub(super) ends: [EndResult; 2],
}

/// What became of one end of a call.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct EndResult {
    /// What its connection had seen.
    pub(super) parameters: Option<ConnectionParameters<'static>>,
    /// What its far end heard.
    pub(super) heard: Heard,
    /// How long after it was said.
    pub(super) delay: Option<Duration>,
    /// Who was heard instead of the other end.
    pub(super) instead: Option<String>,
    /// Not everything could be listened to.
    pub(super) missed: bool,
}

/// The sum of a demo.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Verdict {
    calls: usize,
    well: usize,
    setups: Vec<Duration>,
    packets: Packets,
    heard: Heard,
    delays: Vec<Duration>,
    /// Ends of calls that were up.
    ends: u64,
    loss_wanted: f64,
    ptime_octets: u64,
    /// What is not as it must be.
    faults: Vec<String>,
    /// Somebody was heard who was not spoken to.
    crossed: bool,
    /// This host exchanged blocks later than the jitter buffer waits.
    host_was_late: bool,
}

/// RTP packets, as the connections counted them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Packets {
    sent: u64,
    received: u64,
    lost: u64,
    jitter_ms_max: u32,
}

impl Packets {
    /// The share of packets that were lost on their way.
    fn loss(self) -> f64 {
        self.lost as f64 / (self.lost + self.received).max(1) as f64
    }
}

/// Octets behind a loss that are blended with what was put in for it.
const JOINT_OCTETS: u64 = concealment::OVERLAP as u64;

/// Faults that are told one by one.
const FAULTS_TOLD: usize = 10;

impl Verdict {
    /// Judges calls on a network that was to lose the share `loss_wanted` of the packets.
    pub(super) fn new(calls: &[CallResult], loss_wanted: f64, ptime_octets: u64) -> Self {
        let mut verdict = Self {
            calls: calls.len(),
            well: 0,
            setups: calls.iter().filter_map(|call| call.took).collect(),
            packets: Packets::default(),
            heard: Heard::default(),
            delays: Vec::new(),
            ends: 0,
            loss_wanted,
            ptime_octets,
            faults: Vec::new(),
            crossed: false,
            host_was_late: false,
        };
        verdict.setups.sort();
        for call in calls {
            verdict.judge(call);
        }
        verdict.delays.sort();
        verdict.judge_loss();
        if calls.is_empty() {
            verdict.faults.push("there was no call".to_owned());
        }
        verdict
    }

    /// Whether all is well.
    pub(super) fn is_pass(&self) -> bool {
        self.faults.is_empty()
    }

    /// Takes into account that this host exchanged blocks later than the jitter buffer waits.
    pub(super) fn excuse(&mut self) {
        self.host_was_late = true;
    }

    /// Whether the faults are such as a late host makes, so that they say nothing of the gateway.
    pub(super) fn is_inconclusive(&self) -> bool {
        !self.is_pass() && self.host_was_late && !self.crossed
    }

    fn judge(&mut self, call: &CallResult) {
        let [a, b] = &call.endpoints;
        let faults = self.faults.len();
        if let Some(failure) = &call.failure {
            self.faults.push(format!("the call from {a} to {b}: {failure}"));
        }
        if call.took.is_some() {
            for (end, (who, whom)) in call.ends.iter().zip([(a, b), (b, a)]) {
                self.ends += 1;
                self.crossed |= end.instead.is_some();
                self.add(end);
                let fault = fault(end, self.loss_wanted > 0.0, whom);
                self.faults.extend(fault.map(|fault| format!("{who} {fault}")));
            }
        }
        self.well += usize::from(faults == self.faults.len());
    }

    fn add(&mut self, end: &EndResult) {
        let Heard { right, wrong, jumps } = end.heard;
        self.heard.right += right;
        self.heard.wrong += wrong;
        self.heard.jumps += jumps;
        self.delays.extend(end.delay);
        if let Some(parameters) = &end.parameters {
            let count = |figure: Option<u32>| u64::from(figure.unwrap_or(0));
            self.packets.sent += count(parameters.packets_sent);
            self.packets.received += count(parameters.packets_received);
            self.packets.lost += count(parameters.packets_lost);
            self.packets.jitter_ms_max = self.packets.jitter_ms_max.max(parameters.jitter_ms.unwrap_or(0));
        }
    }

    /// The network must have lost what it was asked to lose, and the ears must have missed that much and
    /// no more.
    fn judge_loss(&mut self) {
        let Packets { received, lost, .. } = self.packets;
        if self.loss_wanted == 0.0 {
            if lost > 0 {
                self.faults.push(format!("{lost} RTP packets were lost, and none should have been"));
            }
            return;
        }
        let bound = loss_bound(self.loss_wanted, lost + received);
        if (self.packets.loss() - self.loss_wanted).abs() > bound {
            let (measured, wanted) = (self.packets.loss() * 100.0, self.loss_wanted * 100.0);
            self.faults.push(format!(
                "{measured:.2} % of the packets were lost; {wanted:.2} % were to be, give or take {:.2} %",
                bound * 100.0
            ));
        }
        // What was put in for a lost octet can happen to be right, in a pause; and behind each loss
        // there is a joint, whose octets are blended with what was put in.
        let least = lost * self.ptime_octets / 2;
        let most = (lost + self.ends) * (self.ptime_octets + JOINT_OCTETS);
        if !(least..=most).contains(&self.heard.wrong) {
            self.faults.push(format!(
                "{} octets were missing, which {lost} lost packets of {} octets do not explain",
                self.heard.wrong, self.ptime_octets
            ));
        }
    }

    /// The share of octets that were missing.
    fn missing(&self) -> f64 {
        self.heard.wrong as f64 / (self.heard.wrong + self.heard.right).max(1) as f64
    }
}

/// How far a measured share of losses may be from the wanted one: five standard deviations of so many
/// independent draws, and as many packets more as may be under way at either end.
fn loss_bound(wanted: f64, packets: u64) -> f64 {
    let packets = packets.max(1) as f64;
    5.0 * (wanted * (1.0 - wanted) / packets).sqrt() + 2.0 / packets.sqrt() / 10.0
}

/// What is wrong with what one end heard.
fn fault(end: &EndResult, lossy: bool, whom: &str) -> Option<String> {
    let Heard { right, wrong, jumps } = end.heard;
    if let Some(instead) = &end.instead {
        return Some(format!("hears {instead} instead of {whom}: crossed"));
    }
    if right == 0 {
        return Some(format!("never heard {whom}"));
    }
    if end.missed {
        return Some("was not listened to all the time: this host is too slow for the demo".to_owned());
    }
    if jumps > 0 {
        return Some(format!("heard octets repeated or left out, {jumps} times"));
    }
    if !lossy && wrong > 0 {
        return Some(format!("heard {wrong} wrong octets"));
    }
    if end.parameters.is_none() {
        return Some("was not told what its connection had seen (no P: in the answer to DLCX)".to_owned());
    }
    None
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: &Duration| time.as_secs_f64() * 1e3;
        writeln!(f, "Calls   {} of {} carried speech both ways", self.well, self.calls)?;
        if let [first, .., last] | [first @ last] = &self.setups[..] {
            let median = &self.setups[self.setups.len() / 2];
            writeln!(
                f,
                "Set-up  {:.1} ms at the median, {:.1} to {:.1} ms (CRCX, CRCX, MDCX)",
                ms(median),
                ms(first),
                ms(last)
            )?;
        }
        let Packets { sent, received, lost, jitter_ms_max } = self.packets;
        writeln!(
            f,
            "RTP     {sent} packets sent, {received} received, {lost} lost ({:.2} %), {} under way when \
             their call ended; jitter {jitter_ms_max} ms at most",
            self.packets.loss() * 100.0,
            sent.saturating_sub(received + lost)
        )?;
        let Heard { right, wrong, jumps } = self.heard;
        writeln!(
            f,
            "Octets  {right} heard as they were said; {wrong} {} ({:.2} %), repeated or left out {jumps} times",
            if self.loss_wanted > 0.0 { "missing, or blended behind a loss" } else { "missing or wrong" },
            self.missing() * 100.0
        )?;
        if let [first, .., last] | [first @ last] = &self.delays[..] {
            let median = &self.delays[self.delays.len() / 2];
            writeln!(
                f,
                "Delay   {:.2} ms at the median, {:.2} to {:.2} ms, octet in to octet out",
                ms(median),
                ms(first),
                ms(last)
            )?;
        }
        for fault in self.faults.iter().take(FAULTS_TOLD) {
            writeln!(f, "Fault   {fault}")?;
        }
        if self.faults.len() > FAULTS_TOLD {
            writeln!(f, "        ... and {} more", self.faults.len() - FAULTS_TOLD)?;
        }
        match (self.is_pass(), self.loss_wanted > 0.0) {
            (true, false) => write!(f, "PASS    every octet was heard once, in its place"),
            (true, true) => write!(f, "PASS    every call lived, and nothing was lost but what was to be"),
            (false, _) if self.is_inconclusive() => write!(
                f,
                "INCONCLUSIVE  {}, and this host was too busy: blocks came later than the jitter buffer waits",
                crate::counted(self.faults.len(), "fault")
            ),
            (false, _) => write!(f, "FAIL    {}", crate::counted(self.faults.len(), "fault")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(right: u64, wrong: u64, lost: u32) -> EndResult {
        EndResult {
            parameters: Some(ConnectionParameters {
                packets_sent: Some(1_000),
                packets_received: Some(1_000 - lost),
                packets_lost: Some(lost),
                jitter_ms: Some(1),
                ..ConnectionParameters::default()
            }),
            heard: Heard { right, wrong, ..Heard::default() },
            delay: Some(Duration::from_millis(45)),
            ..EndResult::default()
        }
    }

    fn call(ends: [EndResult; 2]) -> CallResult {
        CallResult {
            endpoints: ["ds/e1-1/1".to_owned(), "ds/e1-2/1".to_owned()],
            took: Some(Duration::from_millis(12)),
            failure: None,
            ends,
        }
    }

    fn verdict(call: CallResult, loss: f64) -> Verdict {
        Verdict::new(&[call], loss, 160)
    }

    #[test]
    fn octets_that_all_arrived_once_pass() {
        let verdict = verdict(call([end(160_000, 0, 0), end(160_000, 0, 0)]), 0.0);
        assert!(verdict.is_pass(), "{verdict}");
        assert!(verdict.to_string().contains("Delay   45.00 ms at the median"), "{verdict}");
    }

    #[test]
    fn one_wrong_octet_fails() {
        let verdict = verdict(call([end(160_000, 0, 0), end(159_999, 1, 0)]), 0.0);
        assert!(!verdict.is_pass());
        assert!(verdict.to_string().contains("ds/e1-2/1 heard 1 wrong octets"), "{verdict}");
    }

    #[test]
    fn silence_a_lost_packet_and_a_refused_call_fail() {
        assert!(!verdict(call([end(160_000, 0, 0), end(0, 0, 0)]), 0.0).is_pass());
        assert!(!verdict(call([end(160_000, 0, 0), end(160_000, 0, 1)]), 0.0).is_pass());
        let refused =
            CallResult { took: None, failure: Some("403".to_owned()), ..call([end(1, 0, 0), end(1, 0, 0)]) };
        assert!(!verdict(refused, 0.0).is_pass());
    }

    #[test]
    fn a_late_host_explains_missing_octets_but_none_of_another_call() {
        let mut missing = verdict(call([end(160_000, 0, 0), end(159_840, 160, 0)]), 0.0);
        assert!(!missing.is_inconclusive());
        missing.excuse();
        assert!(missing.is_inconclusive() && !missing.is_pass());
        assert!(missing.to_string().contains("INCONCLUSIVE  1 fault,"), "{missing}");
        let crossed = EndResult { instead: Some("ds/e1-1/9".to_owned()), ..end(0, 0, 0) };
        let mut crossed = verdict(call([end(160_000, 0, 0), crossed]), 0.0);
        crossed.excuse();
        assert!(!crossed.is_inconclusive() && crossed.to_string().contains("FAIL"), "{crossed}");
        let mut well = verdict(call([end(160_000, 0, 0), end(160_000, 0, 0)]), 0.0);
        well.excuse();
        assert!(well.is_pass() && !well.is_inconclusive());
    }

    #[test]
    fn a_crossed_call_is_told_with_who_was_heard() {
        let crossed = EndResult { instead: Some("ds/e1-1/9".to_owned()), ..end(0, 0, 0) };
        let verdict = verdict(call([end(160_000, 0, 0), crossed]), 0.0);
        let text = verdict.to_string();
        assert!(text.contains("ds/e1-2/1 hears ds/e1-1/9 instead of ds/e1-1/1: crossed"), "{text}");
    }

    #[test]
    fn the_loss_that_was_asked_for_passes_and_another_does_not() {
        let lossy = |lost: u32, wrong: u64| {
            let side = || end(160_000 - wrong, wrong, lost);
            verdict(call([side(), side()]), 0.05)
        };
        assert!(lossy(50, 8_000).is_pass(), "{}", lossy(50, 8_000));
        assert!(!lossy(0, 0).is_pass(), "nothing was lost");
        assert!(!lossy(200, 32_000).is_pass(), "four times too much");
        assert!(!lossy(50, 40_000).is_pass(), "more octets are missing than packets");
    }
}
