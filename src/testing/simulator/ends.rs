//! What may become of a message, and what must not.

/// What may become of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum End {
    /// It was read, once.
    Read,
    /// The server kept it for 60 days, and nobody fetched it.
    Expired,
    /// The server has dropped it or put another one in its place, and its recipient has never seen it; or it could not be
    /// read, and the server has dropped the one answer that there is.
    Withheld,
    /// It never left: its sender went back to before it was written, or made a new account.
    NeverLeft,
    /// Its recipient went back to before it came, or made a new account, after it was acknowledged.
    Forgotten,
    /// Its recipient was told that it cannot be read and that it will not come again: its sender does not have it any more,
    /// or wrote it to a device that is no more.
    Gone,
    /// Its recipient was told that it cannot be read, and for 30 days nobody was there who could be asked for it.
    Outlived,
    /// Somebody has put back a row of its sender's or recipient's, with what they knew of it.
    PutBack,
    /// It waits until a user has decided about another identity key.
    Undecided,
    /// The same in suite `Signal`, where nobody is asked.
    NoRepair,
}

/// What must not become of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Loss {
    /// It is still with its sender, whom nothing hinders.
    Unsent,
    /// It came as it was sent, and was refused; nobody was told.
    Refused,
    /// Its recipient knows that it could not be read, and has not got it again, though its sender has it.
    Unanswered,
    /// The same, and its sender does not have it; the recipient still waits.
    Untold,
    /// Its recipient was told that it will not come, though its sender has it.
    GivenUp,
    /// It is nowhere.
    Vanished,
}
