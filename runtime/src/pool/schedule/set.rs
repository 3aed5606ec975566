//! A set of small numbers.

/// A set of small numbers, which uses one bit for each.
#[derive(Debug, Default)]
pub(super) struct Set {
    words: Vec<u64>,
    len: usize,
}

impl Set {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds or removes a number. Returns whether that changed the set.
    #[inline]
    pub(super) fn set(&mut self, number: u32, is_in: bool) -> bool {
        let changes = self.contains(number) != is_in;
        if changes {
            self.flip(number);
        }
        changes
    }

    #[inline]
    pub(super) fn insert(&mut self, number: u32) {
        self.set(number, true);
    }

    #[inline]
    fn contains(&self, number: u32) -> bool {
        let (word, bit) = Self::split(number);
        self.words.get(word).is_some_and(|word| word & bit != 0)
    }

    fn flip(&mut self, number: u32) {
        let (word, bit) = Self::split(number);
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        self.words[word] ^= bit;
        let is_in = self.words[word] & bit != 0;
        self.len = if is_in { self.len + 1 } else { self.len - 1 };
    }

    pub(super) fn first(&self) -> Option<u32> {
        self.next(0)
    }

    /// Returns the lowest number that is not below this one.
    pub(super) fn next(&self, from: u32) -> Option<u32> {
        let (first, bit) = Self::split(from);
        let mut mask = !(bit - 1);
        for (place, word) in self.words.iter().enumerate().skip(first) {
            let word = word & mask;
            if word != 0 {
                let base = u32::try_from(place * 64).expect("each number is a u32");
                return Some(base + word.trailing_zeros());
            }
            mask = !0;
        }
        None
    }

    pub(super) fn pop(&mut self) -> Option<u32> {
        if self.is_empty() {
            return None;
        }
        let first = self.first()?;
        self.set(first, false);
        Some(first)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        let mut from = 0;
        std::iter::from_fn(move || {
            let found = self.next(from)?;
            from = found + 1;
            Some(found)
        })
    }

    fn split(number: u32) -> (usize, u64) {
        ((number / 64) as usize, 1 << (number % 64))
    }
}
