//! How much room the sockets of one core have, and what that costs.

use super::DATAGRAM_MAX;
use super::uring::BUFFER_STRIDE;

/// How much room the sockets of one core have, and the ring over them if there is one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Datagrams that can have come and not yet been looked at, 1 to 32,768. More than these wait
    /// in their sockets' own queues, which costs time, but loses nothing; over AF_XDP, which has no such
    /// queues, there is room for four times as many, and what is more is lost.
    pub receive_buffers: u32,
    /// Datagrams that go to the kernel in one call, 1 to 32,768. More take more calls.
    pub sends: u32,
    /// What each socket's queue may hold, in octets. The kernel adds as much again for its own
    /// overhead: a short RTP packet takes about 770 of the doubled octets.
    pub socket_octets: u32,
}

/// The kernel's bound for a submission queue, and for a ring of provided buffers.
const ENTRIES_MAX: u32 = 32_768;

/// The kernel's bound for a completion queue.
const COMPLETIONS_MAX: u32 = 65_536;

/// Octets of send space for each of [`Settings::sends`]: the address and 20 ms of G.711 in RTP.
const SEND_OCTETS: usize = 256;

impl Settings {
    /// Room for `slots` port slots, every other with RTP at 50 packets a second, and a worker that
    /// comes 10 ms late: what is more waits in the sockets for the next round of the same tick.
    pub fn for_slots(slots: usize) -> Self {
        let rtp_slots = u32::try_from(slots / 2).unwrap_or(u32::MAX);
        Self {
            receive_buffers: (rtp_slots / 2).clamp(256, ENTRIES_MAX),
            // In a tick of 5 ms a quarter of the calls send at ptime 20, and all at ptime 5.
            sends: rtp_slots.clamp(64, 2_048),
            // 170 short packets: 3 s at ptime 20, while a flood at one port takes 128 KiB at most.
            socket_octets: 64 * 1024,
        }
    }

    /// Octets of memory that an io_uring and its buffers take for `slots` sockets. The sockets' own
    /// memory is the kernel's: about 1 KiB each, and their queues as they fill.
    pub fn memory(&self, slots: usize) -> usize {
        const SUBMISSION: usize = 64;
        const COMPLETION: usize = 16;
        const BUFFER_ENTRY: usize = 16;
        self.receive_buffers as usize * BUFFER_STRIDE
            + usize::from(self.buffer_entries()) * BUFFER_ENTRY
            + self.send_octets()
            + self.submissions() as usize * SUBMISSION
            + self.completions(slots) as usize * COMPLETION
    }

    /// Frames that AF_XDP is to have room for: what finds none is lost there.
    pub(in crate::net) fn receive_frames(&self) -> u32 {
        (4 * self.receive_buffers).min(ENTRIES_MAX)
    }

    pub(in crate::net) fn is_in_range(&self) -> bool {
        let range = 1..=ENTRIES_MAX;
        range.contains(&self.receive_buffers) && range.contains(&self.sends)
    }

    /// Entries of the submission queue.
    pub(in crate::net) fn submissions(&self) -> u32 {
        self.sends.next_power_of_two()
    }

    /// Entries of the completion queue: every buffer filled, every receive ended and every send
    /// refused between two looks, as far as the kernel allows.
    pub(in crate::net) fn completions(&self, slots: usize) -> u32 {
        let slots = u32::try_from(slots).unwrap_or(COMPLETIONS_MAX);
        let most = self.receive_buffers.saturating_add(slots).saturating_add(self.sends);
        most.min(COMPLETIONS_MAX).next_power_of_two()
    }

    /// Entries of the ring that buffers are provided through.
    pub(in crate::net) fn buffer_entries(&self) -> u16 {
        self.receive_buffers.next_power_of_two() as u16
    }

    /// Octets of send space.
    pub(in crate::net) fn send_octets(&self) -> usize {
        (self.sends as usize * SEND_OCTETS).max(2 * DATAGRAM_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_for_every_size_of_core_stays_within_the_kernels_bounds() {
        for slots in [0, 2, 960, 8_192, 16_128, 60_000, usize::MAX] {
            let settings = Settings::for_slots(slots);
            assert!(settings.is_in_range(), "{slots}: {settings:?}");
            assert!(settings.submissions() <= settings.completions(slots));
            assert!(settings.completions(slots) <= COMPLETIONS_MAX);
        }
    }

    #[test]
    fn a_core_of_8064_ds0s_takes_less_than_1_5_kib_for_each() {
        assert!(Settings::for_slots(2 * 8_064).memory(2 * 8_064) < 8_064 * 1_536);
    }
}
