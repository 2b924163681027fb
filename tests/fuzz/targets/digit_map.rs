//! Digit maps and what is dialled by them: a line with the map, then the letters.
#![no_main]

use std::sync::Arc;

use control::mgcp::digit_map::{DigitMap, Letter, Match, Matcher};
use fuzz::Decisions;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let mut decide = Decisions::new(octets);
    let Ok(text) = str::from_utf8(decide.until(b'\n')) else { return };
    let map: DigitMap = match text.parse() {
        Ok(map) => map,
        Err(error) => return assert!(error.offset <= text.len(), "{error:?} is within {text:?}"),
    };
    let written = map.to_string();
    // What is written can be longer than what was read, and is then refused.
    let Ok(again) = written.parse::<DigitMap>() else {
        return assert!(written.len() > text.len(), "{written}");
    };
    assert_eq!(again, map, "{text:?} was written as {written}");

    let mut matcher = Matcher::new(Arc::new(map));
    let dialled: Vec<_> = decide.octets(usize::MAX).iter().filter_map(|octet| Letter::new(*octet)).collect();
    let first: Vec<_> = dialled.iter().map(|letter| matcher.push(*letter)).collect();
    // No letter makes a match of what can be none.
    let dead = first.iter().position(|standing| *standing == Match::Impossible).unwrap_or(first.len());
    assert!(first[dead..].iter().all(|standing| *standing == Match::Impossible), "{text:?}: {first:?}");
    matcher.clear();
    let second: Vec<_> = dialled.iter().map(|letter| matcher.push(*letter)).collect();
    assert_eq!(first, second, "{text:?}: the dial string was emptied");
});
