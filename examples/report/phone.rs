//! A phone: a client with framing, and a database in which its records and the app's own rows change together.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;

use rand_core::{Rng as _, UnwrapErr};
use subrosa::attachment;
use subrosa::client::{ApplyError, Batch, Change, Client, FramedMessage, PrekeyCounts, Received, Row, Store, Want};
use subrosa::ident::{Address, DeviceId, MessageId, Timestamp, UserId};
use subrosa::persist::{RecordKey, StorageKey};
use subrosa::report::{
    Action, AfterDeletion, Commitment, Deletion, Evidence, FramingPolicy, MessagePolicy, Part, PartView, Ruling,
    Target, rule,
};
use subrosa::suite::Suites;

use crate::picture;
use crate::platform::Platform;
use crate::{Result, Rng};

/// A row of the app's: a message, and what proves it.
struct Message {
    evidence: Vec<u8>,
    parts: Vec<Part>,
    /// Of one's own, to whom and under which id it was sent, and what was sealed: for a recipient that cannot read it.
    sent: Option<(Address, MessageId, Vec<u8>)>,
    /// Out of sight; its content goes for good then.
    hidden_until: Option<Timestamp>,
}

/// The client's records, and the app's messages by their commitments.
#[derive(Default)]
struct Database {
    records: RefCell<BTreeMap<RecordKey, Row>>,
    messages: RefCell<Vec<(Commitment, Message)>>,
}

impl Store for Database {
    type Error = Infallible;

    fn load(&self, keys: &[RecordKey]) -> std::result::Result<Vec<Option<Row>>, Infallible> {
        Ok(keys.iter().map(|key| self.records.borrow().get(key).cloned()).collect())
    }
}

impl Database {
    /// One transaction: the batch and the app's own rows, or neither.
    fn write(
        &self,
        batch: &Batch,
        own: impl FnOnce(&mut Vec<(Commitment, Message)>),
    ) -> std::result::Result<(), ApplyError<Infallible>> {
        let mut rows = self.records.borrow().clone();
        batch.apply(|change| {
            if rows.get(change.key()).map(|row| row.version) != change.expect() {
                return Ok(false);
            }
            match change {
                Change::Put { key, bytes, version, .. } => {
                    rows.insert(*key, Row { version: *version, bytes: bytes.clone() });
                }
                Change::Delete { key, .. } => {
                    rows.remove(key);
                }
                _ => {}
            }
            Ok(true)
        })?;
        *self.records.borrow_mut() = rows;
        own(&mut self.messages.borrow_mut());
        Ok(())
    }
}

pub(crate) struct Phone {
    client: Client,
    db: Database,
    policy: FramingPolicy,
    rng: Rng,
}

impl Phone {
    pub(crate) fn new(user: &UserId, platform: &mut Platform) -> Result<Self> {
        let (db, now, mut rng) = (Database::default(), platform.now(), UnwrapErr(getrandom::SysRng));
        // A real app keeps this key, and an anchor, outside of its database.
        let mut storage_key = [0; 32];
        rng.fill_bytes(&mut storage_key);
        let address = Address::new(user.clone(), DeviceId::new(1));
        let created = Client::create(&StorageKey::new(storage_key), &address, Suites::V1).stage(&db, now, &mut rng)?;
        let policy = FramingPolicy::default();
        let client = created.commit(|batch, _| db.write(batch, |_| {}))?.client.with_framing(policy);
        let uploads = client.publish_prekeys(PrekeyCounts::default()).stage(&db, now, &mut rng)?;
        for upload in uploads.commit(|batch, _| db.write(batch, |_| {}))? {
            platform.publish(&upload.to_bytes())?;
            let published = client.published(upload.id).stage(&db, now, &mut rng)?;
            published.commit(|batch, _| db.write(batch, |_| {}))?;
        }
        Ok(Self { client, db, policy, rng })
    }

    pub(crate) fn address(&self) -> &Address {
        self.client.address()
    }

    pub(crate) fn start_talking_to(&mut self, peer: &Address, platform: &mut Platform) -> Result<()> {
        let bundle = platform.bundle(peer).ok_or("no such device")?.verify()?;
        let added = self.client.add_session(&bundle).stage(&self.db, platform.now(), &mut self.rng)?;
        added.commit(|batch, _| self.db.write(batch, |_| {}))?;
        Ok(())
    }

    /// Commits the message with its evidence, then submits it, then puts the stamp to the evidence.
    pub(crate) fn send(&mut self, to: &Address, parts: &[Part], platform: &mut Platform) -> Result<Commitment> {
        let (db, now, mut id) = (&self.db, platform.now(), [0; 16]);
        self.rng.fill_bytes(&mut id);
        let framed = self.client.send_framed(MessageId::new(id), to, parts).stage(db, now, &mut self.rng)?;
        let framed = framed.commit(|batch, framed| {
            let sent = Some((to.clone(), framed.sent.message_id, framed.inner.clone()));
            db.write(batch, |messages| messages.extend(framed.evidence.as_ref().map(|it| row(it, parts, sent))))
        })?;
        let evidence = framed.evidence.ok_or("sent before")?;
        let envelope = framed.sent.outgoing().ok_or("sent before")?.envelope().clone();
        let stamp = platform.submit(self.client.address().user(), envelope)?;
        let stamped = self.client.own_stamp(to.user(), &evidence, &stamp).stage(db, now, &mut self.rng)?;
        stamped.commit(|batch, stamped| {
            db.write(batch, |messages| {
                let of = |(commitment, _): &&mut (Commitment, Message)| commitment == evidence.commitment();
                if let (Ok(stamped), Some((_, message))) = (stamped, messages.iter_mut().find(of)) {
                    message.evidence = stamped.to_bytes().to_vec();
                }
            })
        })??;
        Ok(*evidence.commitment())
    }

    /// Everything that has come: what the client accepts, its evidence, and what follows from it, in one transaction.
    pub(crate) fn receive_all(&mut self, platform: &mut Platform) -> Result<()> {
        for envelope in platform.fetch(self.client.address()) {
            let (db, now) = (&self.db, platform.now());
            let staged = self.client.receive(&envelope).stage(db, now, &mut self.rng)?;
            let mut told = String::new();
            let received = staged.commit(|batch, received| {
                db.write(batch, |messages| {
                    if let Received::Framed(message) = received {
                        told = take(messages, message, &self.policy, now);
                    }
                })
            })?;
            let message = match received {
                Received::Framed(message) => message,
                // What it asks for is wanted now.
                Received::RepairRequest(_) => {
                    self.send_again(platform)?;
                    continue;
                }
                _ => return Err("not framed".into()),
            };
            let len = message.accepted.evidence.to_bytes().len();
            let mut pictures = String::new();
            for reference in message.accepted.parts.iter().filter_map(Part::attachment_ref) {
                let object = platform.object(&reference).ok_or("no such object")?;
                let file = attachment::decrypt(&reference, object)?;
                pictures = format!(", \"{}\" {}", reference.name(), picture::describe(&file));
            }
            println!("{}'s phone: {told}{pictures}; {len} bytes of evidence", name(self.client.address().user()));
        }
        Ok(())
    }

    /// Sends again what its recipient could not read: what was sealed, so that it is the message that can be reported.
    pub(crate) fn send_again(&mut self, platform: &mut Platform) -> Result<()> {
        let (db, now) = (&self.db, platform.now());
        for want in self.client.wants().stage(db, now, &mut self.rng)?.committed() {
            let Want::Resend { address, message_id } = want else { continue };
            let sealed = db.messages.borrow().iter().find_map(|(_, message)| match &message.sent {
                Some((to, id, inner)) if *to == address && *id == message_id => Some(inner.clone()),
                _ => None,
            });
            let sealed = sealed.ok_or("deleted: `Client::gone`")?;
            let again = self.client.resend(message_id, &address, &sealed).stage(db, now, &mut self.rng)?;
            let again = again.commit(|batch, _| db.write(batch, |_| {}))?;
            let envelope = again.outgoing().ok_or("sent before")?.envelope().clone();
            platform.submit(self.client.address().user(), envelope)?;
        }
        Ok(())
    }

    /// What it has, as it was stored.
    pub(crate) fn messages(&self) -> Result<Vec<(Evidence, Vec<Part>)>> {
        let messages = self.db.messages.borrow();
        messages.iter().map(|(_, it)| Ok((Evidence::from_bytes(&it.evidence)?, it.parts.clone()))).collect()
    }
}

fn row(evidence: &Evidence, parts: &[Part], sent: Option<(Address, MessageId, Vec<u8>)>) -> (Commitment, Message) {
    let evidence_bytes = evidence.to_bytes().to_vec();
    let message = Message { evidence: evidence_bytes, parts: parts.to_vec(), sent, hidden_until: None };
    (*evidence.commitment(), message)
}

/// What a message does to those that are there; says it.
fn take(
    messages: &mut Vec<(Commitment, Message)>,
    message: &FramedMessage,
    policy: &FramingPolicy,
    now: Timestamp,
) -> String {
    let (evidence, parts) = (&message.accepted.evidence, &message.accepted.parts);
    messages.push(row(evidence, parts, None));
    let find = |wanted: &Commitment| {
        let (_, found) = messages.iter().find(|(commitment, _)| commitment == wanted)?;
        let author = *Evidence::from_bytes(&found.evidence).ok()?.header().sender();
        let policy = found.parts.iter().find_map(|part| match part.view() {
            Ok(PartView::Policy(policy)) => Some(policy),
            _ => None,
        });
        let policy = policy.unwrap_or_else(MessagePolicy::default);
        Some(Target { author, deleted: found.hidden_until.is_some(), policy })
    };
    match rule(parts, evidence.header().sender(), find) {
        Ok(Ruling::Do(Action::Say { .. })) => "a message".into(),
        Ok(Ruling::Do(Action::Edit(_))) => "a message is changed, its first version kept".into(),
        Ok(Ruling::Do(Action::Delete(target))) => {
            // Whoever takes a threat back has not made it unreportable.
            let until = match policy.after(Deletion::Remote, now) {
                AfterDeletion::HoldUntil(until) => until,
                _ => now,
            };
            if let Some((_, message)) = messages.iter_mut().find(|(commitment, _)| *commitment == target) {
                message.hidden_until = Some(until);
            }
            format!("a message is taken back, out of sight and kept for {} h", until.since(now) / 3_600_000)
        }
        Ok(other) => format!("{other:?}"),
        Err(error) => format!("nothing done, {error}"),
    }
}

pub(crate) fn name(user: &UserId) -> String {
    let (first, rest) = user.as_str().split_at_checked(1).unwrap_or_default();
    first.to_uppercase() + rest
}
