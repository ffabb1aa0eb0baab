//! What becomes of a received message: a decision of the library, made durable in one transaction.

use std::time::Instant;

use subrosa::prekey::Device;
use subrosa::session::{AcceptError, DecryptError, FirstMessage, Message, Session};
use subrosa::wire::WireError;

use crate::Failure;
use crate::client::{address, now, rng};
use crate::store::{Batch, Line, Store};

/// A message as the relay delivered it.
pub(crate) struct Letter {
    pub(crate) from: String,
    pub(crate) first: bool,
    pub(crate) bytes: Vec<u8>,
}

/// What became of it. The relay may forget it in every case.
pub(crate) enum Outcome {
    Received(String),
    Duplicate,
    /// It cannot be read, now or later.
    Refused(String),
}

/// Why there is no text.
enum Stop {
    Duplicate,
    Refused(String),
    /// Not the message's fault: the file, the disk. It will be delivered again.
    Host(Failure),
}

/// Takes a message: when this returns, its outcome is on the disk.
pub(crate) fn take(store: &mut Store, device: &Device, letter: &Letter) -> Result<Outcome, Failure> {
    let batch = store.begin()?;
    let outcome = match open(&batch, device, letter) {
        Ok((plaintext, micros)) => {
            let text = String::from_utf8_lossy(&plaintext).into_owned();
            let (peer, at) = (letter.from.clone(), i64::try_from(now()?.get())?);
            let (first, wire_len) = (letter.first, u32::try_from(letter.bytes.len())?);
            batch.put_line(&Line { peer, mine: false, text: text.clone(), at, first, wire_len, micros })?;
            Outcome::Received(text)
        }
        Err(Stop::Duplicate) => {
            batch.add_to_tally("duplicates", 1)?;
            Outcome::Duplicate
        }
        Err(Stop::Refused(why)) => {
            batch.add_to_tally("refused", 1)?;
            Outcome::Refused(why)
        }
        Err(Stop::Host(failure)) => return Err(failure),
    };
    batch.commit()?;
    Ok(outcome)
}

/// Decrypts a message and writes the session that did it, not yet committed.
fn open(batch: &Batch<'_>, device: &Device, letter: &Letter) -> Result<(Vec<u8>, f64), Stop> {
    let Letter { from, first, bytes } = letter;
    let session = batch.session(from)?;
    if !first {
        let mut session = session.ok_or(DecryptError::NoSession)?;
        let (message, now) = (Message::parse(bytes)?, now()?);
        let began = Instant::now();
        let plaintext = session.decrypt(&message, now, &mut rng())?;
        let micros = began.elapsed().as_secs_f64() * 1e6;
        batch.put_session(from, &session)?;
        return Ok((plaintext, micros));
    }
    let (first, now) = (FirstMessage::parse(bytes)?, now()?);
    let needs = first.needs();
    // Until it is answered, a sender repeats the start in front of every message: only one of them needs prekeys.
    let known = session.as_ref().is_some_and(|session| session.recognizes(&first));
    let mut prekeys = if known { None } else { batch.prekeys(&needs)? };
    let began = Instant::now();
    let (session, accepted) = match (session, &mut prekeys) {
        // Both may have started at the same time: the new session becomes the current one, the other is archived.
        (Some(mut session), prekeys) => {
            let mut secrets = prekeys.as_mut().map(|prekeys| prekeys.secrets());
            let accepted = session.accept_next(device, &first, secrets.as_mut(), now, &mut rng())?;
            (session, accepted)
        }
        // Nothing is known of this sender: here a real application asks what its user knows.
        (None, Some(prekeys)) => {
            let from = address(from).map_err(|error| Stop::Refused(error.to_string()))?;
            Session::accept(device, &from, &first, &mut prekeys.secrets(), now, &mut rng())?
        }
        (None, None) => return Err(Stop::Refused("its prekeys are gone".into())),
    };
    let micros = began.elapsed().as_secs_f64() * 1e6;
    batch.put_session(from, &session)?;
    batch.delete_prekeys(accepted.consumed)?;
    if let Some(prekeys) = prekeys {
        batch.put_seen(needs.signed, &prekeys.seen)?;
    }
    Ok((accepted.plaintext, micros))
}

impl From<DecryptError> for Stop {
    fn from(error: DecryptError) -> Self {
        match error {
            DecryptError::Duplicate => Self::Duplicate,
            other => Self::Refused(other.to_string()),
        }
    }
}

impl From<AcceptError> for Stop {
    fn from(error: AcceptError) -> Self {
        if error.is_duplicate() { Self::Duplicate } else { Self::Refused(error.to_string()) }
    }
}

impl From<WireError> for Stop {
    fn from(error: WireError) -> Self {
        Self::Refused(error.to_string())
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Host(failure)
    }
}
