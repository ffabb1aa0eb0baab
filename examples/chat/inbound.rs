//! What becomes of a received message: a decision of the library, made durable in one transaction.

use std::time::Instant;

use subrosa::client::{Client, Disposition, ReceiveError, Received, UserStatus};
use subrosa::report::PartKind;
use subrosa::wire::{Envelope, EnvelopeKind};

use crate::Failure;
use crate::client::now;
use crate::store::{Line, Store, put_line, put_outgoing, tally};

/// What became of it.
pub(crate) enum Outcome {
    Received {
        from: String,
        text: String,
    },
    /// Nothing to show.
    Done,
    /// It cannot be read, now or later.
    Refused(String),
    /// The relay keeps it: when more is known of its sender's devices it may be read, or by a newer version of this program.
    Later,
}

/// Takes a message: when this returns, its outcome is on the disk. Says as well what is to be thought of its sender's user.
pub(crate) fn take(store: &Store, client: &Client, bytes: &[u8]) -> Result<(Outcome, Option<UserStatus>), Failure> {
    let (at, wire_len) = (i64::try_from(now().get())?, u32::try_from(bytes.len())?);
    let first = Envelope::parse(bytes).is_ok_and(|envelope| envelope.kind == EnvelopeKind::First);
    let began = Instant::now();
    let received = store.receive(client, bytes, |tx, arrival| {
        // Staged, not yet durable: whatever is told of it is told after the commit.
        let micros = began.elapsed().as_secs_f64() * 1e6;
        match arrival.outcome {
            Ok(Received::RepairRequest(request)) => {
                request.reply.as_ref().map_or(Ok(()), |said| put_outgoing(tx, said))
            }
            Ok(Received::Unreadable(_)) => tally(tx, "refused", 1),
            Ok(Received::ResendDeclined(gone)) => {
                tally(tx, "gone", u32::try_from(gone.names.len()).unwrap_or(u32::MAX))
            }
            Ok(received) => {
                let Some((peer, text)) = text(received).filter(|_| arrival.is_new) else { return Ok(()) };
                put_line(tx, &Line { peer, mine: false, text, at, first, wire_len, micros }, None)
            }
            Err(_) => Ok(()),
        }
    })?;
    let status = received.as_ref().ok().and_then(Received::user).cloned();
    let outcome = match received {
        Ok(received) if received.disposition() == Disposition::Later => Outcome::Later,
        Ok(Received::Unreadable(unreadable)) => Outcome::Refused(unreadable.reason.to_string()),
        Ok(received) => text(&received).map_or(Outcome::Done, |(from, text)| Outcome::Received { from, text }),
        Err(error) => refuse(store, error)?,
    };
    Ok((outcome, status))
}

/// Who wrote what, if it is a text.
fn text(received: &Received) -> Option<(String, String)> {
    let (from, text) = match received {
        Received::Message(message) => (message.sender(), message.plaintext()?),
        // Of an application that offers reports; this one does not.
        Received::Framed(framed) => {
            (&framed.from, framed.accepted.parts.iter().find(|part| part.kind() == PartKind::TEXT)?.body())
        }
        _ => return None,
    };
    Some((from.user().as_str().to_owned(), String::from_utf8_lossy(text).into_owned()))
}

fn refuse(store: &Store, error: ReceiveError) -> Result<Outcome, Failure> {
    let disposition = error.disposition();
    match (error, disposition) {
        (ReceiveError::Duplicate, _) => {
            store.add_to_tally("duplicates", 1)?;
            Ok(Outcome::Done)
        }
        (error, Disposition::Ack) => {
            store.add_to_tally("refused", 1)?;
            Ok(Outcome::Refused(error.to_string()))
        }
        (_, Disposition::Later) => Ok(Outcome::Later),
        // Not the message's fault: the file, the disk. It will be delivered again.
        (error, _) => Err(error.into()),
    }
}
