//! What lies in a receive buffer.
//!
//! A multishot `RECVMSG` writes a header of four words (`struct io_uring_recvmsg_out`), then the
//! source address, then control messages, each in the space that the request reserved, then the
//! datagram.

use crate::net::DATAGRAM_MAX;
use crate::net::datagram::{ADDRESS, CONTROL, Datagram, Unusable};

/// Octets of the header: lengths of address, control and datagram, and flags.
const HEADER: usize = 16;

const CONTROL_START: usize = HEADER + ADDRESS;
const DATAGRAM_START: usize = CONTROL_START + CONTROL;

/// Octets of the longest datagram with all that comes before it.
pub(super) const MESSAGE_MAX: usize = DATAGRAM_START + DATAGRAM_MAX;

/// Reads what a completion says is filled of a buffer.
pub(super) fn read(filled: &[u8]) -> Result<Datagram<'_>, Unusable> {
    let Some((head, octets)) = filled.split_at_checked(DATAGRAM_START) else {
        return Err(Unusable::NoSource);
    };
    if word(head, 12) & libc::MSG_TRUNC as u32 != 0 || octets.len() > DATAGRAM_MAX {
        return Err(Unusable::Truncated);
    }
    let address_len = (word(head, 0) as usize).min(ADDRESS);
    let control_len = (word(head, 4) as usize).min(CONTROL);
    Datagram::read(&head[HEADER..][..address_len], &head[CONTROL_START..][..control_len], octets)
}

fn word(octets: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(*octets[at..].first_chunk().expect("the caller has looked at the length"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_or_odd_buffers_are_refused_not_read_past() {
        let full = [0_u8; MESSAGE_MAX];
        for len in 0..MESSAGE_MAX {
            assert_eq!(read(&full[..len]), Err(Unusable::NoSource));
        }
        assert_eq!(read(&[0xFF; MESSAGE_MAX]), Err(Unusable::Truncated));
    }
}
