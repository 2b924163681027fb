//! How much room the sockets of one core have, and what that costs.

use super::DATAGRAM_MAX;

/// How much room the sockets of one core have, and the ring over them if there is one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Datagrams that can have come and not yet been looked at, 1 to 32,768. Over AF_XDP, which has no
    /// queues besides, there is room for four times as many, and what is more is lost; over io_uring as
    /// many, but no more than 64, are read in one call, and the rest waits in its sockets' own queues.
    pub receive_buffers: u32,
    /// Datagrams that go to the kernel in one call, 1 to 32,768. More take more calls.
    pub sends: u32,
    /// What each socket's queue may hold, in octets. The kernel adds as much again for its own
    /// overhead: a short RTP packet takes about 770 of the doubled octets.
    pub socket_octets: u32,
}

/// The kernel's bound for a submission queue.
const ENTRIES_MAX: u32 = 32_768;

/// The kernel's bound for a completion queue.
const COMPLETIONS_MAX: u32 = 65_536;

/// Datagrams that one call reads: with more, room for them no longer stays in a CPU's nearest caches.
const READS_MAX: u32 = 64;

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

    /// Frames that AF_XDP is to have room for: what finds none is lost there.
    pub(in crate::net) fn receive_frames(&self) -> u32 {
        (4 * self.receive_buffers).min(ENTRIES_MAX)
    }

    pub(in crate::net) fn is_in_range(&self) -> bool {
        let range = 1..=ENTRIES_MAX;
        range.contains(&self.receive_buffers) && range.contains(&self.sends)
    }

    /// Entries of the submission queue of an io_uring.
    pub(in crate::net) fn submissions(&self) -> u32 {
        self.sends.max(self.reads().into()).next_power_of_two()
    }

    /// Entries of its completion queue: every socket told of, every read done and every send refused
    /// between two looks, as far as the kernel allows.
    pub(in crate::net) fn completions(&self, slots: usize) -> u32 {
        let slots = u32::try_from(slots).unwrap_or(COMPLETIONS_MAX);
        let most = slots.saturating_add(self.submissions()).saturating_add(self.reads().into());
        most.min(COMPLETIONS_MAX).next_power_of_two()
    }

    /// Datagrams that are read in one call.
    pub(in crate::net) fn reads(&self) -> u16 {
        self.receive_buffers.min(READS_MAX) as u16
    }

    /// Octets of send space.
    pub(in crate::net) fn send_octets(&self) -> usize {
        (self.sends as usize * SEND_OCTETS).max(2 * DATAGRAM_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::uring::UringSockets;

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
        assert!(UringSockets::memory(&Settings::for_slots(2 * 8_064), 2 * 8_064) < 8_064 * 1_536);
    }
}
