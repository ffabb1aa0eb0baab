//! Envelopes that nobody asked for: what repair costs.

use alloc::collections::{BTreeMap, BTreeSet};

/// Automatic envelopes of a device to another in a day, answers not counted, nor word that something is gone: of those there
/// are as many as were asked for.
const A_DAY: usize = 20;

/// Automatic envelopes for each message that was lost, and for each mishap that ends sessions.
const A_LOSS: usize = 10;

/// What an envelope is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Message,
    /// A message that was sent before.
    Again,
    /// Word that messages are gone.
    Gone,
    /// Questions, and sessions that are started for repair.
    Question,
}

/// What repair has cost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Monitor {
    /// Questions, by device, by whom they are put to, and by day.
    automatic: BTreeMap<(usize, usize, u64), usize>,
    /// Messages that were sent again because somebody asked.
    answers: usize,
    gone: usize,
    lost: BTreeSet<[u8; 16]>,
    mishaps: usize,
}

impl Monitor {
    /// An envelope was made.
    pub(super) fn made(&mut self, by: usize, to: usize, day: u64, kind: Kind) {
        match kind {
            Kind::Message => {}
            Kind::Again => self.answers += 1,
            Kind::Gone => self.gone += 1,
            Kind::Question => *self.automatic.entry((by, to, day)).or_default() += 1,
        }
    }

    /// What was in an envelope could not be read.
    pub(super) fn unreadable(&mut self, envelope: &[u8; 16]) {
        self.lost.insert(*envelope);
    }

    /// Something happened that ends sessions, or something false came.
    pub(super) const fn mishap(&mut self) {
        self.mishaps += 1;
    }

    /// The most automatic envelopes of one device to another in one day.
    pub(super) fn most_in_a_day(&self) -> usize {
        self.automatic.values().copied().max().unwrap_or_default()
    }

    /// All automatic envelopes but answers: each of these is a message that is read.
    pub(super) fn questions(&self) -> usize {
        self.automatic.values().sum::<usize>() + self.gone
    }

    /// All automatic envelopes, answers among them.
    pub(super) fn unasked(&self) -> usize {
        self.questions() + self.answers
    }

    /// Whether that is more than repair may cost.
    pub(super) fn is_too_much(&self) -> bool {
        self.most_in_a_day() > A_DAY || self.unasked() > A_LOSS * (self.lost.len() + self.mishaps)
    }
}
