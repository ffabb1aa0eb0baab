use super::*;
use serde_json::Value;

fn array<const N: usize>(value: &Value) -> [u8; N] {
    hex::decode(value.as_str().unwrap()).unwrap().try_into().unwrap()
}

/// Indices of the emoji and the numbers.
fn shown(code: &SasCode) -> (Vec<u64>, Vec<u64>) {
    let index = |one: &SasEmoji| (0..64).position(|index| emoji(index) == *one).unwrap();
    let indices = code.emoji().iter().map(|one| u64::try_from(index(one)).unwrap()).collect();
    (indices, code.numbers().map(u64::from).to_vec())
}

fn numbers(value: &Value) -> Vec<u64> {
    value.as_array().unwrap().iter().map(|number| number.as_u64().unwrap()).collect()
}

/// Of hashes of account keys that no key has.
#[test]
fn the_first_vector() {
    let vectors: Value =
        serde_json::from_str(include_str!("../../../tests/vectors/reports/more_vectors.json")).unwrap();
    let mut transcript = Vec::from(LABEL);
    put(&mut transcript, b"tx1");
    for (user, hash) in [("alice", 0xaa), ("bob", 0xbb)] {
        put(&mut transcript, user.as_bytes());
        put(&mut transcript, b"1");
        transcript.extend_from_slice(&[hash; 32]);
    }
    assert_eq!(commitment(&Secret::new([1; 32]), &transcript), array(&vectors["sas_commit"]));
    let code = SasCode::derive(&[1; 32], &[2; 32], &transcript);
    assert_eq!(shown(&code), (numbers(&vectors["sas_emoji_idx"]), numbers(&vectors["sas_decimal"])));
}

#[test]
fn the_second_vector() {
    let vectors: Value = serde_json::from_str(include_str!("../../../tests/vectors/people.json")).unwrap();
    let v = &vectors["sas1"];
    let party = |of: &Value| {
        let user = UserId::new(of[0].as_str().unwrap()).unwrap();
        let device = DeviceId::new(u32::try_from(of[1].as_u64().unwrap()).unwrap());
        (user, device, AccountKey::parse(&array::<33>(&of[2])).unwrap())
    };
    let (initiator, responder) = (party(&v["initiator"]), party(&v["responder"]));
    let as_party = |(user, device, account): &(UserId, DeviceId, AccountKey)| -> SasParty<'static> {
        let (user, account) = (std::boxed::Box::leak(user.clone().into()), std::boxed::Box::leak((*account).into()));
        SasParty { user, device: *device, account }
    };
    let txid = hex::decode(v["txid"].as_str().unwrap()).unwrap();
    let transcript = transcript(&txid, as_party(&initiator), as_party(&responder));
    assert_eq!(commitment(&Secret::new(array(&v["n_i"])), &transcript), array(&v["commit"]));
    let code = SasCode::derive(&array(&v["n_i"]), &array(&v["n_r"]), &transcript);
    assert_eq!(shown(&code), (numbers(&v["emoji"]), numbers(&v["numbers"])));
}

const NOW: Timestamp = Timestamp::new(1_800_000_000_000);

fn key(seed: u8) -> AccountKey {
    *crate::account::AccountKeyPair::new(Secret::new([seed; 32])).public()
}

/// What both come to, each believing the other to have an account key.
fn attempt(of_bob_at_alice: AccountKey, of_alice_at_bob: AccountKey) -> Result<(SasCode, SasCode), SasError> {
    let mut rng = crate::support::rng(1);
    let (alice, bob) = (UserId::new("alice").unwrap(), UserId::new("bob").unwrap());
    let (one, two) = (DeviceId::new(1), DeviceId::new(2));
    let (hers, his) = (key(1), key(2));
    let at_alice = [
        SasParty { user: &alice, device: one, account: &hers },
        SasParty { user: &bob, device: two, account: &of_bob_at_alice },
    ];
    let at_bob = [
        SasParty { user: &bob, device: two, account: &his },
        SasParty { user: &alice, device: one, account: &of_alice_at_bob },
    ];
    let (initiator, commit) = SasInitiator::new(at_alice[0], at_alice[1], NOW, &mut rng);
    let (responder, respond) = SasResponder::new(at_bob[0], at_bob[1], &commit, NOW, &mut rng)?;
    let (hers, reveal) = initiator.reveal(&respond, NOW)?;
    Ok((hers, responder.check(&reveal, NOW)?))
}

#[test]
fn both_come_to_one_code_and_whoever_is_between_them_to_none() {
    let (hers, his) = attempt(key(2), key(1)).unwrap();
    assert!(hers == his && hers.emoji() == his.emoji() && hers.numbers() == his.numbers());
    // Another key of one side: what was committed to is of another transcript.
    assert_eq!(attempt(key(3), key(1)).err(), Some(SasError::Commitment));
    assert_eq!(attempt(key(2), key(3)).err(), Some(SasError::Commitment));
}

#[test]
fn an_attempt_ends_with_the_first_thing_that_is_wrong() {
    let mut rng = crate::support::rng(2);
    let (alice, bob, hers, his) = (UserId::new("alice").unwrap(), UserId::new("bob").unwrap(), key(1), key(2));
    let a = SasParty { user: &alice, device: DeviceId::new(1), account: &hers };
    let b = SasParty { user: &bob, device: DeviceId::new(1), account: &his };
    let late = Timestamp::new(NOW.get() + LIFE + 1);
    let mut begun = || {
        let (initiator, commit) = SasInitiator::new(a, b, NOW, &mut rng);
        let (responder, respond) = SasResponder::new(b, a, &commit, NOW, &mut rng).unwrap();
        (initiator, responder, commit, respond)
    };
    let end = |message: Verify| Verify { step: VerifyStep::End, ..message };
    let other = |message: Verify| Verify { txid: [9; 16], ..message };

    type Wrong = (fn(Verify, Verify) -> Verify, Timestamp, SasError);
    let wrong: [Wrong; 4] = [
        (|_, respond| Verify { txid: [9; 16], ..respond }, NOW, SasError::OtherAttempt),
        (|commit, _| commit, NOW, SasError::OutOfTurn),
        (|_, respond| respond, late, SasError::Expired),
        (|_, respond| Verify { step: VerifyStep::End, ..respond }, NOW, SasError::Ended),
    ];
    for (message, now, expected) in wrong {
        let (initiator, _, commit, respond) = begun();
        assert_eq!(initiator.reveal(&message(commit, respond), now).err(), Some(expected));
    }
    for (at, expected) in
        [SasError::OtherAttempt, SasError::OutOfTurn, SasError::Expired, SasError::Ended, SasError::Commitment]
            .into_iter()
            .enumerate()
    {
        let (initiator, responder, commit, respond) = begun();
        let (_, reveal) = initiator.reveal(&respond, Timestamp::new(NOW.get() + LIFE)).unwrap();
        let chosen = Verify { step: VerifyStep::Reveal([7; 32]), ..reveal };
        let message = [other(reveal), commit, reveal, end(reveal), chosen][at];
        let now = if expected == SasError::Expired { late } else { NOW };
        assert_eq!(responder.check(&message, now).err(), Some(expected));
    }
    let (_, _, commit, respond) = begun();
    let mut rng = crate::support::rng(3);
    assert_eq!(SasResponder::new(b, a, &respond, NOW, &mut rng).err(), Some(SasError::OutOfTurn));
    assert_eq!(SasResponder::new(b, a, &end(commit), NOW, &mut rng).err(), Some(SasError::Ended));
}
