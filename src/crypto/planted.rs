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
    PruneWishes,
    /// The table of repair, row by row: with nothing to send with, nothing is started.
    NothingStartsNothing,
    /// A session of another bundle stands for one of this one.
    AnyBundle,
    /// Whoever has started a session and is not heard wants another one at once.
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
    /// Of two sessions that crossed, each side goes on with the one that it read in last.
    NeverSettles,
    /// An exchange of the braid that a lost write has broken is not begun anew.
    LostWriteStays,
    /// What was read and led to no change is not checked.
    NoChecks,
    /// Prekeys that wait to be uploaded get successors.
    SecondSet,
    /// Whichever upload is said to have arrived, it is taken for the one that waits.
    AnyUpload,
    /// A device is asked whatever its user's identity key has become.
    AsksUndecided,
    /// Chains are stepped as far as somebody says.
    FarJumps,
    /// A chain of framed messages goes on from a row that was found to be an older one.
    OldChains,
    /// It is not looked at whether two rows were written together.
    MarksAlike,
    /// A chain goes on though the whole database went back.
    RestoredChains,
    /// Content without a frame is acknowledged, and not shown.
    UnframedIsDropped,
    /// With a device, the key is forgotten that it is known by.
    PinGoes,
}

impl Defect {
    /// All that there are.
    pub(crate) const ALL: [Self; 32] = [
        Self::PrekeysByAge,
        Self::TimeOfDay,
        Self::FewWishes,
        Self::NoStrangers,
        Self::PruneWishes,
        Self::NothingStartsNothing,
        Self::AnyBundle,
        Self::Impatient,
        Self::NeverAsks,
        Self::NeverGivesUp,
        Self::WaitsForEver,
        Self::AlwaysStarts,
        Self::NoLimits,
        Self::EndlessQuestions,
        Self::DeafToReturns,
        Self::AnyKey,
        Self::AnswersTwice,
        Self::TellsNothing,
        Self::NamedByWrapping,
        Self::PastIsPresent,
        Self::NeverSettles,
        Self::LostWriteStays,
        Self::NoChecks,
        Self::SecondSet,
        Self::AnyUpload,
        Self::AsksUndecided,
        Self::FarJumps,
        Self::OldChains,
        Self::MarksAlike,
        Self::RestoredChains,
        Self::UnframedIsDropped,
        Self::PinGoes,
    ];
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
