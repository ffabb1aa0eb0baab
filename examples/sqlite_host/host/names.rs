//! Which messages were read, by the names that both sides know them by: for what comes again when its key is long gone, and
//! for what is sent again although it was read.

use rusqlite::{Connection, params};
use subrosa::client::{Identity, Received};
use subrosa::ident::{Address, MessageName};

/// A name stays when its message is deleted: else what comes again would be asked for, and what people have deleted would
/// be back.
pub(crate) const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS read (user TEXT NOT NULL, device INTEGER NOT NULL, name BLOB NOT NULL,
        PRIMARY KEY (user, device, name)) WITHOUT ROWID;
";

/// What a message that was read is known by.
pub(crate) struct Names<'a> {
    pub(crate) from: &'a Address,
    name: MessageName,
    /// The one that could not be read, and in whose place this one is.
    answers: Option<MessageName>,
    /// Whether it came under an identity key that nobody has accepted.
    pub(crate) new_key: bool,
}

impl<'a> Names<'a> {
    pub(crate) fn of(received: &'a Received) -> Option<Self> {
        let (answers, identity) = match received {
            Received::Message(message) => (message.answers(), message.identity()),
            Received::Framed(framed) => (framed.answers, &framed.identity),
            // Questions and the like: nothing to be shown, but they too may come again.
            _ => (None, &Identity::Known),
        };
        let new_key = matches!(identity, Identity::Changed(_));
        Some(Self { from: received.sender(), name: received.name()?, answers, new_key })
    }

    /// Notes that it was read. Whether it is to be shown: not if one of its names is known, for then it was, by itself or
    /// as what it answers.
    pub(crate) fn note(&self, tx: &Connection) -> rusqlite::Result<bool> {
        let Self { from, name, answers, new_key } = self;
        let mut is_new = !is_read(tx, from, name)?;
        note(tx, from, name)?;
        if let Some(answers) = answers {
            is_new &= !is_read(tx, from, answers)?;
            // Whoever has another key than the known one has no say in what was read of the device.
            if !new_key {
                note(tx, from, answers)?;
            }
        }
        Ok(is_new)
    }
}

/// Whether a message that cannot be read is one that was. It was staged after that one was committed, with its name.
pub(crate) fn is_late(db: &Connection, received: Option<&Received>) -> rusqlite::Result<bool> {
    let Some(Received::Unreadable(unreadable)) = received else { return Ok(false) };
    is_read(db, &unreadable.from, &unreadable.name)
}

/// Whether a message of the device was read under this name. What others say to answer is no matter.
fn is_read(db: &Connection, from: &Address, name: &MessageName) -> rusqlite::Result<bool> {
    let mut query = db.prepare_cached("SELECT 1 FROM read WHERE user = ?1 AND device = ?2 AND name = ?3")?;
    query.exists(params![from.user().as_str(), from.device().get(), name.as_bytes()])
}

fn note(tx: &Connection, from: &Address, name: &MessageName) -> rusqlite::Result<()> {
    let mut insert = tx.prepare_cached("INSERT INTO read VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?;
    insert.execute(params![from.user().as_str(), from.device().get(), name.as_bytes()]).map(drop)
}
