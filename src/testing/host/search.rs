use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::{Arguments, Write as _};

/// So many bytes of a secret are compared by a table before all of them are.
const WINDOW: usize = 4;

/// Places in that table.
const PLACES: usize = 1 << 12;

/// Secrets that are looked for in everything that is printed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Search {
    /// In small letters.
    secrets: Vec<String>,
    /// Where secrets begin, among the beginnings that there are.
    begins: Vec<bool>,
    /// Where things are printed: used again and again.
    page: String,
}

impl Search {
    /// Adds a secret: as text, as hexadecimal digits, as a list of numbers.
    pub(super) fn add(&mut self, secret: &[u8]) {
        let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        let list: Vec<String> = secret.iter().map(|byte| format!("{byte}")).collect();
        let text = String::from_utf8_lossy(secret).to_ascii_lowercase();
        if self.begins.is_empty() {
            self.begins = vec![false; PLACES];
        }
        for form in [hex, list.join(", "), text] {
            if let Some(begins) = form.as_bytes().first_chunk().and_then(|begin| self.begins.get_mut(place(*begin))) {
                *begins = true;
                self.secrets.push(form);
            }
        }
    }

    /// What is printed, if it shows a secret or cannot be printed.
    pub(super) fn shows(&mut self, what: Arguments<'_>) -> Option<&str> {
        let Self { secrets, begins, page } = self;
        page.clear();
        let printed = page.write_fmt(what);
        page.make_ascii_lowercase();
        let bytes = page.as_bytes();
        let is_secret = |at: usize| {
            let rest = bytes.get(at..).unwrap_or_default();
            secrets.iter().any(|secret| rest.starts_with(secret.as_bytes()))
        };
        let mut windows = bytes.windows(WINDOW).enumerate();
        let found = windows.any(|(at, window)| {
            let begin = window.first_chunk().is_some_and(|begin| begins.get(place(*begin)) == Some(&true));
            begin && is_secret(at)
        });
        (found || printed.is_err()).then_some(page)
    }
}

fn place(begin: [u8; WINDOW]) -> usize {
    let mixed = u32::from_le_bytes(begin).wrapping_mul(0x9e37_79b1);
    usize::try_from(mixed).unwrap_or(0) >> 20
}
