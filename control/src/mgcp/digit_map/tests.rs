//! The examples of RFC 3435 §2.1.5 and RFC 3660, and a slow matcher that the fast one must agree with.

use proptest::prelude::*;

use super::*;
use Match::{Impossible, Perfect};

const PARTIAL: Match = Match::Partial(InterdigitTimer::Partial);
const CRITICAL: Match = Match::Partial(InterdigitTimer::Critical);

fn map(text: &str) -> DigitMap {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

/// What a dial string is after its last letter. None of those before may have ended it.
fn dial(text: &str, digits: &str) -> Match {
    let mut matcher = Matcher::new(Arc::new(map(text)));
    let mut last = None;
    for octet in digits.bytes() {
        let before = last.replace(matcher.push(Letter::new(octet).expect("a letter")));
        assert!(matches!(before, None | Some(Match::Partial(_))), "{text} {digits}: ended at {before:?}");
    }
    last.expect("something was dialled")
}

/// RFC 3435 §2.1.5, the first.
const OFFICE: &str = "(0T|00T|[1-7]xxx|8xxxxxxx|#xxxxxxx|*xx|91xxxxxxxxxx|9011x.T)";

#[test]
fn the_dial_plan_of_the_rfc() {
    for (digits, result) in [
        ("0", CRITICAL),
        ("0T", Perfect),
        ("00", CRITICAL),
        ("00T", Perfect),
        ("000", Impossible),
        ("1", PARTIAL),
        ("1234", Perfect),
        ("12T", Impossible),
        ("8123456", PARTIAL),
        ("81234567", Perfect),
        ("#1234567", Perfect),
        ("*69", Perfect),
        ("91", PARTIAL),
        ("91212555121", PARTIAL),
        ("912125551212", Perfect),
        ("9011", CRITICAL),
        ("901133123456789", CRITICAL),
        ("901133123456789T", Perfect),
        ("92", Impossible),
        ("A", Impossible),
    ] {
        assert_eq!(dial(OFFICE, digits), result, "{digits}");
    }
}

#[test]
fn the_shortest_match_is_taken() {
    assert_eq!(dial("(xxxxxxx|x11)", "41"), PARTIAL);
    assert_eq!(dial("(xxxxxxx|x11)", "411"), Perfect);
    assert_eq!(dial("(xxxxxxx|x11)", "4125551"), Perfect);
}

#[test]
fn a_dot_is_any_number_and_none() {
    const MAP: &str = "(0[12].|00|1[12].1|2x.#)";
    for (digits, result) in [
        ("0", Perfect),
        ("1", PARTIAL),
        ("12", PARTIAL),
        ("11", Perfect),
        ("121", Perfect),
        ("2", PARTIAL),
        ("2345", PARTIAL),
        ("2345#", Perfect),
        ("2#", Perfect),
        ("2*", Impossible),
    ] {
        assert_eq!(dial(MAP, digits), result, "{digits}");
    }
}

#[test]
fn the_timer_is_critical_when_only_it_is_missing() {
    for (text, digits, result) in [
        ("(xxxxxxx|x11T)", "4", PARTIAL),
        ("(xxxxxxx|x11T)", "41", PARTIAL),
        ("(xxxxxxx|x11T)", "411", CRITICAL),
        ("(xxxxxxx|x11T)", "411T", Perfect),
        ("(1[2-3T].)", "1", Perfect),
        ("(1[2-3].T)", "1", CRITICAL),
        ("(1[2-3]T.)", "1", PARTIAL),
        ("(1[2-3]T.)", "12", Perfect),
        ("(1[2-3]T.)", "1T", Impossible),
        ("([0-9].[#T])", "1", CRITICAL),
        ("([0-9].[#T])", "12#", Perfect),
    ] {
        assert_eq!(dial(text, digits), result, "{text} {digits}");
    }
}

#[test]
fn an_entry_with_p_gives_way_to_others() {
    const MAP: &str = "([3-7]11|123xxxxxxx|[1-7]xxxxxxP|8xxxP)";
    for (digits, result) in [
        ("1234567", CRITICAL),
        ("1234567890", Perfect),
        ("1234567T", Impossible),
        ("2345678", Perfect),
        ("411", Perfect),
        ("8234", Perfect),
    ] {
        assert_eq!(dial(MAP, digits), result, "{digits}");
    }
    // An entry with P gives way to others only, not to itself.
    assert_eq!(dial("(1x.P)", "1"), Perfect);
    assert_eq!(dial("(1P|1P)", "1"), Perfect);
    assert_eq!(dial("(1xP|1x.#)", "12"), CRITICAL);
    assert_eq!(dial("(12P|123P|[1-2][1-2])", "12"), Perfect);
}

#[test]
fn a_cleared_matcher_starts_again() {
    let mut matcher = Matcher::new(Arc::new(map("12")));
    let (one, two) = (Letter::new(b'1').expect("a digit"), Letter::new(b'2').expect("a digit"));
    assert_eq!(matcher.push(two), Impossible);
    assert_eq!(matcher.push(one), Impossible);
    matcher.clear();
    assert_eq!(matcher.push(one), PARTIAL);
    assert_eq!(matcher.push(two), Perfect);
}

#[test]
fn spelling_is_free_where_the_meaning_is_clear() {
    for (text, same) in [
        ("X", "(x)"),
        ("[x]", "(x)"),
        ("[0-9]", "(x)"),
        ("[0123456789*]", "([0-9*])"),
        (" ( 0t | 00T ) ", "(0T|00T)"),
        ("0T|00T", "(0T|00T)"),
        ("[1-3579]", "([1-3579])"),
        ("[12]", "([12])"),
        ("[abcd]", "([ABCD])"),
        ("[A-C#]p", "([#ABC]P)"),
        ("[7]", "(7)"),
    ] {
        assert_eq!(map(text).to_string(), same, "{text}");
        assert_eq!(map(same), map(text));
    }
}

#[test]
fn what_is_no_digit_map_is_refused_where_it_goes_wrong() {
    let long = format!("({})", "1".repeat(MAP_OCTETS_MAX));
    for (text, offset, rule, code) in [
        ("", 0, "DigitString", 510),
        ("()", 1, "DigitString", 510),
        ("(1||2)", 3, "DigitString", 510),
        ("(1|)", 3, "DigitString", 510),
        ("(1", 0, "DigitMap", 510),
        ("1)", 0, "DigitMap", 510),
        ("((1))", 1, "DigitMapLetter", 510),
        ("1..", 2, "DigitMapLetter", 510),
        (".1", 0, "DigitMapLetter", 510),
        ("1[2-", 1, "DigitMapRange", 510),
        ("1[]", 1, "DigitMapRange", 510),
        ("[3-1]", 0, "DigitMapRange", 510),
        ("[1-A]", 0, "DigitMapRange", 510),
        ("[1-]", 0, "DigitMapRange", 510),
        ("1-2", 1, "DigitMapLetter", 510),
        ("1é", 1, "DigitMapLetter", 510),
        ("(1|23E)", 5, "ExtensionDigitMapLetter", 537),
        ("1[0-9S]", 1, "ExtensionDigitMapLetter", 537),
        ("P1", 0, "ExtensionDigitMapLetter", 537),
        ("P", 0, "ExtensionDigitMapLetter", 537),
        ("1[P]", 1, "ExtensionDigitMapLetter", 537),
        (&long, MAP_OCTETS_MAX, "DigitMap", 510),
    ] {
        let error = EventError { offset, rule, code: ReturnCode(code) };
        assert_eq!(text.parse::<DigitMap>(), Err(error), "{text}");
    }
    // RFC 3435 §2.1.5: 2,048 octets are to be taken.
    assert!(format!("({})", "1".repeat(2_046)).parse::<DigitMap>().is_ok());
}

/// An entry as a test makes it up: letters and whether there is a dot behind, and P.
type Made = (Vec<(Vec<u8>, bool)>, bool);

fn made() -> impl Strategy<Value = Vec<Made>> {
    let letters = proptest::sample::subsequence(b"12#T".to_vec(), 1..=3);
    let entry = (proptest::collection::vec((letters, any::<bool>()), 1..5), any::<bool>());
    proptest::collection::vec(entry, 1..5)
}

fn text_of(entries: &[Made]) -> String {
    let step = |(letters, repeated): &(Vec<u8>, bool)| {
        format!("[{}]{}", String::from_utf8_lossy(letters), if *repeated { "." } else { "" })
    };
    let entry = |(steps, gives_way): &Made| {
        steps.iter().map(step).collect::<String>() + if *gives_way { "P" } else { "" }
    };
    format!("({})", entries.iter().map(entry).collect::<Vec<_>>().join("|"))
}

/// Whether `dialled` is all of an entry, and whether it may be the beginning of it.
fn slowly(steps: &[(Vec<u8>, bool)], dialled: &[u8]) -> (bool, bool) {
    let Some(((letters, repeated), next)) = steps.split_first() else { return (dialled.is_empty(), false) };
    let mut ways = vec![(false, dialled.is_empty())];
    if *repeated {
        ways.push(slowly(next, dialled));
    }
    if let Some((_, rest)) = dialled.split_first().filter(|(first, _)| letters.contains(first)) {
        ways.push(slowly(if *repeated { steps } else { next }, rest));
    }
    ways.into_iter().fold((false, false), |a, b| (a.0 || b.0, a.1 || b.1))
}

fn judged_slowly(entries: &[Made], dialled: &[u8]) -> Match {
    // Whether there is a match, whether one gives way, and whether anything waits.
    let judge = |dialled: &[u8]| {
        let all: Vec<_> = entries.iter().map(|(steps, p)| (slowly(steps, dialled), *p)).collect();
        let others_wait = |me: usize| all.iter().enumerate().any(|(i, ((_, waits), _))| i != me && *waits);
        let is_match =
            |(i, ((is_all, _), p)): (usize, &((bool, bool), bool))| *is_all && !(*p && others_wait(i));
        (
            all.iter().enumerate().any(is_match),
            all.iter().any(|((is_all, _), p)| *is_all && *p),
            all.iter().any(|((_, waits), _)| *waits),
        )
    };
    match judge(dialled) {
        (true, _, _) => Perfect,
        (false, false, false) => Impossible,
        (false, true, _) => CRITICAL,
        (false, false, true) => match judge(&[dialled, b"T"].concat()) {
            (true, _, _) => CRITICAL,
            (false, _, _) => PARTIAL,
        },
    }
}

proptest! {
    #[test]
    fn the_matcher_agrees_with_a_slow_one(
        entries in made(),
        dialled in proptest::collection::vec(proptest::sample::select(b"12#T".to_vec()), 1..8),
    ) {
        let text = text_of(&entries);
        let mut matcher = Matcher::new(Arc::new(map(&text)));
        for n in 1..=dialled.len() {
            let letter = Letter::new(dialled[n - 1]).expect("a letter");
            prop_assert_eq!(matcher.push(letter), judged_slowly(&entries, &dialled[..n]), "{} {}", text, n);
        }
    }

    #[test]
    fn what_is_written_reads_the_same(entries in made()) {
        let map = map(&text_of(&entries));
        prop_assert_eq!(map.to_string().parse(), Ok(map));
    }

    #[test]
    fn no_text_makes_it_panic(text in "[ (0-9xX#*A-DTPE.|)\\[\\]-]{0,40}|\\PC{0,20}") {
        if let Ok(map) = text.parse::<DigitMap>() {
            let mut matcher = Matcher::new(Arc::new(map));
            (0..38).for_each(|index| { matcher.push(Letter::of_bit(index)); });
        }
    }
}

/// The worst map there is: each letter may be any of its steps.
#[test]
fn a_hostile_map_costs_no_more_than_its_length_a_letter() {
    let text = "x.".repeat(MAP_OCTETS_MAX / 2 - 1) + "#";
    let map = Arc::new(map(&text));
    let mut matcher = Matcher::new(Arc::clone(&map));
    for _ in 0..1_000 {
        assert_eq!(matcher.push(Letter::new(b'7').expect("a digit")), PARTIAL);
    }
    assert_eq!(matcher.push(Letter::new(b'#').expect("a key")), Perfect);
}
