//! The process's large memory: gathered into huge pages, and fetched ahead.
//!
//! The tables of a core with thousands of calls are tens of MiB, all of it touched in each 20 ms: in pages
//! of 4 KiB that is more than a CPU's translation cache (TLB) knows, so that every other access looks the
//! page up first. In pages of 2 MiB it is some ten of them.

use std::fs;
use std::ops::Range;

/// Octets of a huge page of x86-64 and of aarch64 with 4 KiB pages. Where they are larger, nothing is gathered.
const HUGE: usize = 2 << 20;

/// Begins to fetch what lies at a place into the caches, without waiting for it: for what is needed soon and
/// was last touched long ago. One cache line, or as many as the value has from its start.
#[inline(always)]
pub fn prefetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    for line in (0..size_of::<T>()).step_by(LINE) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: inside the value; and fetching ahead neither reads nor faults, wherever it points. Needed
        // because nothing else says it.
        unsafe { _mm_prefetch::<_MM_HINT_T0>((&raw const *value).cast::<i8>().add(line)) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (value, LINE);
}

/// Octets of a cache line.
const LINE: usize = 64;

/// Puts what the process has allocated so far into huge pages, as far as the kernel does that; says how many.
///
/// To be called once all that is needed has been allocated: it may take some milliseconds. Only memory that
/// is nearly all in use is taken, so the process grows by a few pages at the most. Linux before 6.1 cannot,
/// nor one whose `transparent_hugepage` is `never`; everything works without.
pub fn gather() -> usize {
    let maps = fs::read_to_string("/proc/self/smaps").unwrap_or_default();
    large(&maps).flat_map(huge_pages).filter(|&page| collapse(page)).count()
}

/// The mappings that are the process's own memory, and nearly all in use.
fn large(smaps: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut own = None;
    smaps.lines().filter_map(move |line| {
        if let Some(kib) = line.strip_prefix("Rss:") {
            let kib: usize = kib.trim().trim_end_matches(" kB").parse().ok()?;
            return own.take().filter(|range: &Range<usize>| kib * 1_024 >= range.len() / 8 * 7);
        }
        if let Some(range) = own_mapping(line) {
            own = range;
        }
        None
    })
}

/// If this is the head of a mapping, its addresses, provided that it is private, writable and of no file.
fn own_mapping(line: &str) -> Option<Option<Range<usize>>> {
    let mut fields = line.split_whitespace();
    let (from, to) = fields.next()?.split_once('-')?;
    let address = |hex| usize::from_str_radix(hex, 16).ok();
    let range = address(from)?..address(to)?;
    let (access, inode) = (fields.next()?, fields.nth(2)?);
    Some(Some(range).filter(|_| access == "rw-p" && inode == "0"))
}

/// The whole huge pages of a range, by their addresses.
fn huge_pages(range: Range<usize>) -> impl Iterator<Item = usize> {
    let first = range.start.next_multiple_of(HUGE);
    (first..range.end.saturating_sub(HUGE - 1).max(first)).step_by(HUGE)
}

/// Makes one huge page of the pages at an address; says whether it is one now.
fn collapse(page: usize) -> bool {
    // SAFETY: the kernel moves pages to other memory of the same content at the same address, which no
    // thread can tell; where nothing is mapped any more, it says so. Needed because no crate has the call.
    unsafe { libc::madvise(page as *mut libc::c_void, HUGE, libc::MADV_COLLAPSE) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMAPS: &str = "\
55d0c0000000-55d0c0a00000 rw-p 00000000 00:00 0                          [heap]
Size:              10240 kB
Rss:               10000 kB
Pss:               10000 kB
7f0000000000-7f0000800000 rw-p 00000000 00:00 0 
Rss:                  12 kB
7f1000000000-7f1000800000 rw-s 00000000 00:01 77                         /dev/shm/x
Rss:                8192 kB
7f2000000000-7f2000800000 r-xp 00000000 00:00 0 
Rss:                8192 kB
7f3000000000-7f3000500000 rw-p 00000000 00:00 0 
Rss:                5120 kB
";

    #[test]
    fn only_own_memory_that_is_in_use_is_taken() {
        let found: Vec<_> = large(SMAPS).collect();
        assert_eq!(found, [0x55d0_c000_0000..0x55d0_c0a0_0000, 0x7f30_0000_0000..0x7f30_0050_0000]);
        assert_eq!(large("").count(), 0);
    }

    #[test]
    fn huge_pages_are_whole_and_inside() {
        let pages = |range| huge_pages(range).collect::<Vec<_>>();
        assert_eq!(pages(HUGE..3 * HUGE), [HUGE, 2 * HUGE]);
        assert_eq!(pages(HUGE + 1..3 * HUGE + 5), [2 * HUGE]);
        assert_eq!(pages(HUGE + 1..2 * HUGE), []);
        assert_eq!(pages(0..4_096), [0; 0]);
    }

    #[test]
    fn gathering_changes_no_octet() {
        let octets: Vec<u8> = (0..8 << 20).map(|at: usize| (at % 251) as u8).collect();
        println!("{} huge pages", gather());
        assert!(octets.iter().enumerate().all(|(at, octet)| usize::from(*octet) == at % 251));
    }
}
