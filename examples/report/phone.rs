//! A phone: a client with framing, and a database in which its records and the app's own rows change together.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;

use rand_core::{Rng as _, UnwrapErr};
use subrosa::attachment;
use subrosa::client::{Client, Database, FramedMessage, PrekeyCounts, Received, Task};
use subrosa::ident::{Address, DeviceId, MessageId, Timestamp, UserId};
use subrosa::persist::{RecordKey, StorageKey};
use subrosa::report::{
    AfterDeletion, Commitment, Deletion, Evidence, FramingPolicy, MessageAction, MessagePolicy, Part, PartView, Ruling,
    TargetMessage, rule,
};
use subrosa::staging::{ApplyError, Batch, Row, Store};
use subrosa::suite::Suites;

use crate::picture;
use crate::platform::Platform;
use crate::{Result, Rng};

/// A row of the app's: a message, and what proves it.
#[derive(Clone)]
struct Message {
    evidence: Vec<u8>,
    parts: Vec<Part>,
    /// Of one's own, to whom and under which id it was sent, and what was sealed: for a recipient that cannot read it.
    sent: Option<(Address, MessageId, Vec<u8>)>,
    /// Out of sight; its content goes for good then.
    hidden_until: Option<Timestamp>,
}

/// The client's records, and the app's messages by their commitments.
#[derive(Clone, Default)]
struct Tables {
    records: BTreeMap<RecordKey, Row>,
    messages: Vec<(Commitment, Message)>,
}

#[derive(Default)]
struct Memory(RefCell<Tables>);

impl Store for Memory {
    type Error = Infallible;

    fn load(&self, keys: &[RecordKey]) -> std::result::Result<Vec<Option<Row>>, Infallible> {
        Ok(keys.iter().map(|key| self.0.borrow().records.get(key).cloned()).collect())
    }
}

impl Database for Memory {
    type Transaction<'a> = Tables;

    fn transact(
        &self,
        batch: &Batch,
        own: impl FnOnce(&mut Tables) -> std::result::Result<(), Infallible>,
    ) -> std::result::Result<(), ApplyError<Infallible>> {
        let mut tables = self.0.borrow().clone();
        batch.apply_to(&mut tables.records)?;
        own(&mut tables)?;
        *self.0.borrow_mut() = tables;
        Ok(())
    }
}

pub(crate) struct Phone {
    client: Client,
    db: Memory,
    policy: FramingPolicy,
    rng: Rng,
}

impl Phone {
    pub(crate) fn new(user: &UserId, platform: &mut Platform) -> Result<Self> {
        let (db, now, mut rng) = (Memory::default(), platform.now(), UnwrapErr(getrandom::SysRng));
        // A real app keeps this key, and a rollback counter, outside of its database.
        let mut storage_key = [0; 32];
        rng.fill_bytes(&mut storage_key);
        let address = Address::new(user.clone(), DeviceId::new(1));
        let create = Client::create(&StorageKey::new(storage_key), &address, Suites::V1);
        let policy = FramingPolicy::default();
        let client = create.run(&db, now, &mut rng, |_, _| Ok(()))?.client.with_framing(policy);
        for upload in client.publish_prekeys(PrekeyCounts::default()).run(&db, now, &mut rng, |_, _| Ok(()))? {
            platform.publish(&upload.to_bytes())?;
            client.published(upload.id).run(&db, now, &mut rng, |_, _| Ok(()))?;
        }
        Ok(Self { client, db, policy, rng })
    }

    pub(crate) fn address(&self) -> &Address {
        self.client.address()
    }

    pub(crate) fn start_talking_to(&mut self, peer: &Address, platform: &mut Platform) -> Result<()> {
        let bundle = platform.bundle(peer).ok_or("no such device")?.verify()?;
        self.client.add_session(&bundle).run(&self.db, platform.now(), &mut self.rng, |_, _| Ok(()))?;
        Ok(())
    }

    /// Commits the message with its evidence, then submits it, then puts the stamp to the evidence.
    pub(crate) fn send(&mut self, to: &Address, parts: &[Part], platform: &mut Platform) -> Result<Commitment> {
        let (db, now, mut id) = (&self.db, platform.now(), [0; 16]);
        self.rng.fill_bytes(&mut id);
        let framed =
            self.client.send_framed(MessageId::new(id), to, parts).run(db, now, &mut self.rng, |tx, framed| {
                let sent = Some((to.clone(), framed.sent.message_id, framed.inner.clone()));
                tx.messages.extend(framed.evidence.as_ref().map(|it| row(it, parts, sent)));
                Ok(())
            })?;
        let evidence = framed.evidence.ok_or("sent before")?;
        let envelope = framed.sent.outgoing().first().ok_or("sent before")?.envelope().clone();
        let stamp = platform.submit(self.client.address().user(), envelope)?;
        let own_stamp = self.client.own_stamp(to.user(), &evidence, &stamp);
        own_stamp.run(db, now, &mut self.rng, |tx, stamped| {
            let of = |(commitment, _): &&mut (Commitment, Message)| commitment == evidence.commitment();
            if let (Ok(stamped), Some((_, message))) = (stamped, tx.messages.iter_mut().find(of)) {
                message.evidence = stamped.to_bytes().to_vec();
            }
            Ok(())
        })??;
        Ok(*evidence.commitment())
    }

    /// Everything that has come: what the client accepts, its evidence, and what follows from it, in one transaction.
    pub(crate) fn receive_all(&mut self, platform: &mut Platform) -> Result<()> {
        for envelope in platform.fetch(self.client.address()) {
            let (db, now) = (&self.db, platform.now());
            let mut told = String::new();
            let received = self.client.receive(&envelope).run(db, now, &mut self.rng, |tx, received| {
                if let Received::Framed(message) = received {
                    told = take(&mut tx.messages, message, &self.policy, now);
                }
                Ok(())
            })?;
            let message = match received {
                Received::Framed(message) => message,
                // What it asks for is to be sent again now.
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
        for task in self.client.todo().run(db, now, &mut self.rng, |_, _| Ok(()))? {
            // The others are the same for every app: the example `sqlite_host` does them.
            let Task::Resend { address, message_id } = task else { continue };
            let sealed = db.0.borrow().messages.iter().find_map(|(_, message)| match &message.sent {
                Some((to, id, inner)) if *to == address && *id == message_id => Some(inner.clone()),
                _ => None,
            });
            let sealed = sealed.ok_or("deleted: `Client::gone`")?;
            let resend = self.client.resend(message_id, &address, &sealed);
            let again = resend.run(db, now, &mut self.rng, |_, _| Ok(()))?;
            let envelope = again.outgoing().first().ok_or("sent before")?.envelope().clone();
            platform.submit(self.client.address().user(), envelope)?;
        }
        Ok(())
    }

    /// What it has, as it was stored.
    pub(crate) fn messages(&self) -> Result<Vec<(Evidence, Vec<Part>)>> {
        let tables = self.db.0.borrow();
        tables.messages.iter().map(|(_, it)| Ok((Evidence::from_bytes(&it.evidence)?, it.parts.clone()))).collect()
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
        Some(TargetMessage { author, deleted: found.hidden_until.is_some(), policy })
    };
    match rule(parts, evidence.header().sender(), find) {
        Ok(Ruling::Do(MessageAction::Say { .. })) => "a message".into(),
        Ok(Ruling::Do(MessageAction::Edit(_))) => "a message is changed, its first version kept".into(),
        Ok(Ruling::Do(MessageAction::Delete(target))) => {
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
