use rusqlite::{Connection, params};

use crate::client::{IdentityStatus, Received};
use crate::ident::{Address, MessageName};

/// A name stays when its message is deleted: else what comes again would be asked for, and what people have deleted would
/// be back.
pub(super) const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS subrosa_read (user TEXT NOT NULL, device INTEGER NOT NULL, name BLOB NOT NULL,
        PRIMARY KEY (user, device, name)) WITHOUT ROWID;
";

/// Whether this cannot be read because it was read before: its key is long gone, and its name is in the table. To be dropped
/// with its staging, and acknowledged: see [`Operation::run_unless`](crate::client::Operation::run_unless).
///
/// # Errors
///
/// SQLite's.
///
/// # Examples
///
/// See [`note_read`].
pub fn was_read(db: &Connection, received: &Received) -> rusqlite::Result<bool> {
    match received {
        Received::Unreadable(unreadable) => is_noted(db, &unreadable.from, &unreadable.name),
        _ => Ok(false),
    }
}

/// Notes by its names that something was read, in the transaction of its batch. Whether it is to be shown: not if one of its
/// names is known, for then it was, by itself or as what it answers.
///
/// For whatever was received, questions and the like as well: they too may come again.
///
/// # Errors
///
/// SQLite's.
///
/// # Security
///
/// What a message under an identity key that nobody has accepted [answers](crate::client::ReceivedMessage::answers) is not noted:
/// whoever stands in the device's place has no say in what was read of it.
///
/// # Examples
///
/// ```
/// # fn receive(db: &subrosa::sqlite::Sqlite, bob: &subrosa::client::Client, envelope: &subrosa::wire::Envelope,
/// #     now: subrosa::ident::Timestamp, mut rng: impl rand_core::CryptoRng) -> Result<(), Box<dyn std::error::Error>> {
/// use subrosa::{client::Received, sqlite::{note_read, was_read}};
/// let late = |received: &Received| was_read(db.sql(), received);
/// let received = bob.receive(envelope).run_unless(db, now, &mut rng, late, |tx, received| {
///     let is_new = note_read(tx, received)?;
///     if let (true, Received::Message(message)) = (is_new, received) {
///         tx.execute("INSERT INTO message VALUES (?1)", [message.plaintext()])?;
///     }
///     Ok(())
/// })?;
/// // … and now it is acknowledged, whether it was new or not.
/// # Ok(())
/// # }
/// ```
pub fn note_read(tx: &Connection, received: &Received) -> rusqlite::Result<bool> {
    let Some(name) = received.name() else { return Ok(false) };
    let (from, answers, identity) = match received {
        Received::Message(message) => (message.sender(), message.answers(), message.identity()),
        Received::Framed(framed) => (&framed.from, framed.answers, &framed.identity),
        _ => (received.sender(), None, &IdentityStatus::Known),
    };
    let mut is_new = !is_noted(tx, from, &name)?;
    note(tx, from, &name)?;
    if let Some(answers) = answers {
        is_new &= !is_noted(tx, from, &answers)?;
        if !matches!(identity, IdentityStatus::Changed(_)) {
            note(tx, from, &answers)?;
        }
    }
    Ok(is_new)
}

/// Whether a message of the device was read under this name. What others say to answer is no matter.
fn is_noted(db: &Connection, from: &Address, name: &MessageName) -> rusqlite::Result<bool> {
    let mut query = db.prepare_cached("SELECT 1 FROM subrosa_read WHERE user = ?1 AND device = ?2 AND name = ?3")?;
    query.exists(params![from.user().as_str(), from.device().get(), name.as_bytes()])
}

fn note(tx: &Connection, from: &Address, name: &MessageName) -> rusqlite::Result<()> {
    let mut insert = tx.prepare_cached("INSERT INTO subrosa_read VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?;
    insert.execute(params![from.user().as_str(), from.device().get(), name.as_bytes()]).map(drop)
}
