//! Names in few words: what is numbered one by one is told as a range (RFC 3435 §E.5).
//!
//! Only spellings are looked at, so it holds for whatever endpoints are called.

use std::fmt::Write as _;

/// Octets that a range may have (RFC 3435 §E.5).
const OCTETS_MAX: usize = 128;

/// Names that differ in one number: `ds/e1-1/[1-31]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Group {
    before: String,
    /// First and last of each run, in order; none if the one name ends in no number.
    runs: Vec<(u32, u32)>,
    after: String,
}

impl Group {
    /// One name, whose last number may become a range.
    pub(super) fn new(name: &str) -> Self {
        Self::split(name, "")
    }

    /// Takes in one name more, if it differs by a higher number alone.
    pub(super) fn push(&mut self, name: &str) -> bool {
        self.join(&Self::new(name))
    }

    /// Takes in another group with higher numbers, if there is no other difference.
    pub(super) fn join(&mut self, other: &Self) -> bool {
        let (Some(&(_, last)), &[(first, other_last)]) = (self.runs.last(), &other.runs[..]) else {
            return false;
        };
        if self.before != other.before || self.after != other.after || first <= last {
            return false;
        }
        if first == last + 1 {
            self.runs.last_mut().expect("a range has at least one run").1 = other_last;
            return true;
        }
        self.runs.push((first, other_last));
        let is_short = self.ranges().len() <= OCTETS_MAX;
        if !is_short {
            self.runs.pop();
        }
        is_short
    }

    /// The same, open to ranges one term further up: `ds/e1-1/[1-31]` differs from `ds/e1-2/[1-31]` by
    /// one number alone.
    pub(super) fn upper(&self) -> Self {
        match self.before.strip_suffix('/') {
            Some(upper) => Self::split(upper, &format!("/{}{}", self.ranges(), self.after)),
            None => Self { before: self.to_text(), runs: Vec::new(), after: String::new() },
        }
    }

    /// As MGCP writes it.
    pub(super) fn to_text(&self) -> String {
        format!("{}{}{}", self.before, self.ranges(), self.after)
    }

    fn split(name: &str, after: &str) -> Self {
        let head = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let digits = &name[head.len()..];
        // A number that would not be spelt so again is none.
        let number = digits.parse::<u32>().ok().filter(|number| number.to_string() == digits);
        match number {
            Some(number) => {
                Self { before: head.to_owned(), runs: vec![(number, number)], after: after.to_owned() }
            }
            None => Self { before: name.to_owned(), runs: Vec::new(), after: after.to_owned() },
        }
    }

    fn ranges(&self) -> String {
        match self.runs[..] {
            [] => String::new(),
            [(first, last)] if first == last => first.to_string(),
            _ => {
                let mut text = String::from("[");
                for (index, (first, last)) in self.runs.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    let written = match first == last {
                        true => write!(text, "{comma}{first}"),
                        false => write!(text, "{comma}{first}-{last}"),
                    };
                    written.expect("a string takes all");
                }
                text.push(']');
                text
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grouped(names: &[&str]) -> Vec<String> {
        let mut groups: Vec<Group> = Vec::new();
        for name in names {
            if !groups.last_mut().is_some_and(|group| group.push(name)) {
                groups.push(Group::new(name));
            }
        }
        groups.iter().map(Group::to_text).collect()
    }

    #[test]
    fn runs_of_numbers_become_ranges() {
        assert_eq!(grouped(&["a/1", "a/2", "a/3", "a/5", "a/7", "a/8"]), ["a/[1-3,5,7-8]"]);
        assert_eq!(grouped(&["a/1", "b/2", "b/2"]), ["a/1", "b/2", "b/2"]);
        assert_eq!(grouped(&["mg", "a/4", "a/3"]), ["mg", "a/4", "a/3"]);
        assert_eq!(grouped(&["a/1A", "a/1B", "a/01", "a/02"]), ["a/1A", "a/1B", "a/01", "a/02"]);
    }

    #[test]
    fn a_range_is_never_long() {
        let names: Vec<_> = (0..500).map(|n| format!("a/{}", 2 * n + 1)).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let groups = grouped(&names);
        assert!(groups.len() > 10);
        assert!(groups.iter().all(|group| group.len() <= "a/".len() + OCTETS_MAX), "{groups:?}");
    }

    #[test]
    fn equal_ranges_of_neighbours_become_one() {
        let span = |n: u32| {
            let mut group = Group::new(&format!("ds/e1-{n}/1"));
            assert!(group.push(&format!("ds/e1-{n}/2")));
            group.upper()
        };
        let mut all = span(1);
        assert!(all.join(&span(2)) && all.join(&span(4)));
        assert_eq!(all.to_text(), "ds/e1-[1-2,4]/[1-2]");
        assert!(!all.join(&Group::new("ds/e1-5/1").upper()));
        assert_eq!(Group::new("mg").upper().to_text(), "mg");
        assert!(!Group::new("mg").upper().join(&Group::new("mg").upper()));
    }
}
