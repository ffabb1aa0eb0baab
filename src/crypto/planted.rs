//! Defects that tests plant in the rules of prekeys and repair, so that the simulator proves that it finds such. For one
//! thread, and in no other build than the library's own tests.

use core::cell::Cell;

/// A rule that does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defect {
    /// Prekeys are deleted by age, whenever their successor is confirmed.
    PrekeysByAge,
    /// Deletions go by the time of day.
    TimeOfDay,
    /// Of one device 16 unread messages are remembered.
    FewWishes,
    /// What of a stranger cannot be read is forgotten.
    NoStrangers,
    /// Upkeep wants bundles.
    TidyWishes,
    /// The table of repair, row by row: with nothing to send with, nothing is started.
    NothingStartsNothing,
    /// A session of another bundle stands for one of this one.
    AnyBundle,
    /// A question that was put a moment ago is put again, in another session.
    Impatient,
    /// In a session that was answered nothing is asked for.
    NeverAsks,
    /// A session that was answered is never given up.
    NeverGivesUp,
    /// A session that nobody answers is never given up.
    WaitsForEver,
    /// A session is started whenever a bundle comes.
    AlwaysStarts,
    /// Sessions and questions are as many as one likes.
    NoLimits,
    /// A question is put for as long as it is not answered.
    EndlessQuestions,
    /// Who was never there to be asked is not asked once more when heard.
    DeafToReturns,
    /// What was sealed to one identity key is sent again to another.
    AnyKey,
    /// A question that comes again is answered again.
    AnswersTwice,
    /// What a device asks for and is not there it is not told of.
    TellsNothing,
    /// The name of a message covers its wrapping.
    NamedByWrapping,
    /// A message that repeats a start which is long past is asked for.
    PastIsPresent,
}

std::thread_local! {
    static PLANTED: Cell<Option<Defect>> = const { Cell::new(None) };
}

/// Plants a defect, or takes it out.
pub(crate) fn plant(defect: Option<Defect>) {
    PLANTED.set(defect);
}

/// Whether this one is planted.
pub(crate) fn is(defect: Defect) -> bool {
    PLANTED.get() == Some(defect)
}
