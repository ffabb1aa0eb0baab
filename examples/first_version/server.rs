//! The server: mail boxes, the prekeys of everybody, and which devices they have. It can read nothing of what it holds.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use subrosa::account::{CarriedRoster, FollowsError, HeldRoster, TakeError};
use subrosa::client::PrekeyUpload;
use subrosa::ident::Timestamp;
use subrosa::platform::{PrekeyStore, PrekeyStoreError, RosterRefusal, check_roster, check_succession};
use subrosa::sqlite::Connection;
use subrosa::sqlite::rusqlite::{self, OptionalExtension as _};
use subrosa::suite::Suite;

use super::{Failure, address, wire};

const TABLES: &str = "
    PRAGMA journal_mode = WAL;
    CREATE TABLE IF NOT EXISTS mail (seq INTEGER PRIMARY KEY AUTOINCREMENT, user TEXT NOT NULL, envelope BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS prekeys (user TEXT PRIMARY KEY, store BLOB NOT NULL);
    -- What was checked, and the bytes that are handed out.
    CREATE TABLE IF NOT EXISTS roster (user TEXT PRIMARY KEY, held BLOB NOT NULL, bytes BLOB NOT NULL);
";

pub(crate) fn serve(listener: &TcpListener, file: &Path) -> Result<(), Failure> {
    let db = Connection::open(file)?;
    db.execute_batch(TABLES)?;
    for stream in listener.incoming() {
        // Whatever one of them sends, the others are served.
        if let Err(failure) = stream.map_err(Failure::from).and_then(|stream| serve_one(&db, stream)) {
            eprintln!("server: {failure}");
        }
    }
    Ok(())
}

fn serve_one(db: &Connection, mut stream: TcpStream) -> Result<(), Failure> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    match wire::read(&mut stream).map_err(Failure::from).and_then(|request| answer(db, &request)) {
        Ok(answer) => Ok(wire::write(&mut stream, &answer)?),
        Err(failure) => Ok(wire::refuse(&mut stream, &format!("the server: {failure}"))?),
    }
}

fn answer(db: &Connection, request: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, Failure> {
    let [verb, user, bytes] = request else { return Err("a request has three parts".into()) };
    let user = str::from_utf8(user)?;
    Ok(match verb.as_slice() {
        b"post" => {
            db.execute("INSERT INTO mail (user, envelope) VALUES (?1, ?2)", (user, bytes))?;
            vec![]
        }
        b"mail" => {
            let mut query = db.prepare("SELECT seq, envelope FROM mail WHERE user = ?1 ORDER BY seq LIMIT 100")?;
            let row = |row: &rusqlite::Row<'_>| Ok([row.get::<_, i64>(0)?.to_be_bytes().to_vec(), row.get(1)?]);
            query.query_map([user], row)?.collect::<Result<Vec<_>, _>>()?.concat()
        }
        b"forget" => {
            let seq = i64::from_be_bytes(bytes.as_slice().try_into()?);
            db.execute("DELETE FROM mail WHERE user = ?1 AND seq = ?2", (user, seq))?;
            vec![]
        }
        b"publish" => {
            let upload = PrekeyUpload::parse(bytes)?;
            prekeys(db, user, |store| match store.apply(&upload) {
                // A new telephone under the old name. This server believes that too; a real one registers it anew first.
                Err(PrekeyStoreError::OtherIdentity) => store.replace(&upload),
                applied => applied,
            })??;
            vec![]
        }
        b"counts" => vec![prekeys(db, user, |store| store.counts())?.to_bytes().to_vec()],
        b"bundle" => prekeys(db, user, PrekeyStore::claim)?.iter().map(|bundle| bundle.to_bytes()).collect(),
        b"publish roster" => {
            publish_roster(db, user, bytes)?;
            vec![]
        }
        b"roster" => {
            let mut query = db.prepare("SELECT bytes FROM roster WHERE user = ?1")?;
            query.query_map([user], |row| row.get(0))?.collect::<Result<_, _>>()?
        }
        _ => return Err("no such verb".into()),
    })
}

/// Takes a roster that follows the one that is there: compare and swap.
fn publish_roster(db: &Connection, user: &str, bytes: &[u8]) -> Result<(), Failure> {
    let (tx, new, now) = (db.unchecked_transaction()?, CarriedRoster::parse(bytes)?, Timestamp::now());
    let stored: Option<Vec<u8>> =
        tx.query_row("SELECT held FROM roster WHERE user = ?1", [user], |row| row.get(0)).optional()?;
    let stored = stored.map(|held| HeldRoster::from_bytes(&held)).transpose()?;
    let (name, signed) = (address(user)?.user().clone(), new.roster().as_bytes());
    let taken = match &stored {
        // A new telephone, and everything lost. This server believes that too; people are asked by their own programs.
        Some(old) if old.account_key() != new.roster().account_key() => {
            check_succession(old, bytes, &name, now).or_else(|_| check_roster(None, signed, &name, now))
        }
        old => check_roster(old.as_ref(), signed, &name, now),
    };
    match taken {
        Ok(held) => tx.execute("REPLACE INTO roster VALUES (?1, ?2, ?3)", (user, held.to_bytes(), bytes))?,
        // It comes again, since the answer was lost.
        Err(RosterRefusal::Take(TakeError::Follows(FollowsError::Same))) => 0,
        Err(refusal) => return Err(refusal.into()),
    };
    Ok(tx.commit()?)
}

/// Changes the prekeys of a user in one transaction: nobody gets the same one-time prekey as somebody else.
fn prekeys<T>(db: &Connection, user: &str, change: impl FnOnce(&mut PrekeyStore) -> T) -> Result<T, Failure> {
    let tx = db.unchecked_transaction()?;
    let stored: Option<Vec<u8>> =
        tx.query_row("SELECT store FROM prekeys WHERE user = ?1", [user], |row| row.get(0)).optional()?;
    let before = match stored {
        Some(bytes) => PrekeyStore::from_bytes(&bytes)?,
        None => PrekeyStore::new(address(user)?, Suite::V1),
    };
    let mut store = before.clone();
    let done = change(&mut store);
    if store != before {
        tx.execute("REPLACE INTO prekeys VALUES (?1, ?2)", (user, store.to_bytes()))?;
    }
    tx.commit()?;
    Ok(done)
}
