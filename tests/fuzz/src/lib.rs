//! What the fuzz targets share: how an input becomes decisions.

/// Reads decisions off an input, octet by octet; when it is used up, every one is the first choice.
#[derive(Debug)]
pub struct Decisions<'a> {
    rest: &'a [u8],
}

impl<'a> Decisions<'a> {
    /// All of an input.
    pub fn new(input: &'a [u8]) -> Self {
        Self { rest: input }
    }

    /// Whether nothing is left to decide by.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// One octet.
    pub fn octet(&mut self) -> u8 {
        let Some((first, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        *first
    }

    /// Two octets.
    pub fn word(&mut self) -> u16 {
        u16::from_be_bytes([self.octet(), self.octet()])
    }

    /// Four octets.
    pub fn long(&mut self) -> u32 {
        u32::from(self.word()) << 16 | u32::from(self.word())
    }

    /// A number below `n`, which is at most 256.
    pub fn below(&mut self, n: usize) -> usize {
        usize::from(self.octet()) % n.max(1)
    }

    /// One time in `n`.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    /// One of `choices`.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// The next `n` octets, or as many as there are.
    pub fn octets(&mut self, n: usize) -> &'a [u8] {
        let (first, rest) = self.rest.split_at(n.min(self.rest.len()));
        self.rest = rest;
        first
    }

    /// The octets up to the next `end`, which is left out.
    pub fn until(&mut self, end: u8) -> &'a [u8] {
        let len = self.rest.iter().position(|octet| *octet == end).unwrap_or(self.rest.len());
        let first = self.octets(len);
        self.octets(1);
        first
    }
}
