//! GF(2^16) modulo x^16 + x^12 + x^3 + x + 1, as the chunk code uses it: on chunks that travel in the clear, many lanes
//! at a time.

/// The field polynomial without its top bit.
const REDUCTION: u16 = 0x100b;

/// a·x.
pub(super) const fn times_x(a: u16) -> u16 {
    (a << 1) ^ (REDUCTION & top_bit(a))
}

/// a·x^4. Four bits go over the top, and what they come back as stays below it.
const fn times_x4(a: u16) -> u16 {
    let over = a >> 12;
    (a << 4) ^ over ^ (over << 1) ^ (over << 3) ^ (over << 12)
}

/// All ones if the top bit is set, else none.
const fn top_bit(a: u16) -> u16 {
    (a.cast_signed() >> 15).cast_unsigned()
}

/// The product. One step of Horner's for every four bits of `b`, with a·x^4, a·x^8 and a·x^12 beside `a`: a quarter of
/// the chain of reductions that one bit at a time would be. No branch and no table, so that lanes become a vector.
#[inline]
pub(super) const fn mul(a: u16, b: u16) -> u16 {
    let a4 = times_x4(a);
    let a8 = times_x4(a4);
    let a12 = times_x4(a8);
    let mut product = 0;
    let mut bit = 4;
    while bit > 0 {
        bit -= 1;
        let low = 15 - bit;
        product = times_x(product)
            ^ (a & top_bit(b << low))
            ^ (a4 & top_bit(b << (low - 4)))
            ^ (a8 & top_bit(b << (low - 8)))
            ^ (a12 & top_bit(b << (low - 12)));
    }
    product
}

/// 1/a, by Euclid's algorithm on polynomials; 0 for 0.
pub(super) const fn invert(a: u16) -> u16 {
    // a·s = r and a·t = q modulo the field polynomial, all along.
    let (mut r, mut s) = (widen(a), 1);
    let (mut q, mut t) = (1 << 16 | widen(REDUCTION), 0);
    while r > 1 {
        if r.leading_zeros() > q.leading_zeros() {
            (r, s, q, t) = (q, t, r, s);
        }
        let shift = q.leading_zeros() - r.leading_zeros();
        r ^= q << shift;
        s ^= t << shift;
    }
    if r == 0 { 0 } else { narrow(s) }
}

#[expect(clippy::as_conversions, reason = "`From` is not const")]
const fn widen(a: u16) -> u32 {
    a as u32
}

#[expect(clippy::as_conversions, clippy::cast_possible_truncation, reason = "a field element has 16 bits")]
const fn narrow(a: u32) -> u16 {
    a as u16
}

/// The products, lane by lane.
#[inline]
pub(super) fn times<const W: usize>(a: &[u16; W], b: &[u16; W]) -> [u16; W] {
    let mut out = *a;
    for (out, b) in out.iter_mut().zip(b) {
        *out = mul(*out, *b);
    }
    out
}

/// For each lane, the product of the others.
pub(super) fn others(lanes: &[u16; 16]) -> [u16; 16] {
    let (near, far): ([u16; 8], [u16; 8]) = (part(lanes), part(&swapped(lanes, 8)));
    // Both halves multiplied; then each lane gathers the rest of that product in steps of 4, 2 and 1.
    let mut all = times(&near, &far);
    let mut rest = swapped(&all, 4);
    all = times(&all, &rest);
    for step in [2, 1] {
        let there = swapped(&all, step);
        rest = times(&rest, &there);
        all = times(&all, &there);
    }
    join(&times(&rest, &far), &times(&rest, &near))
}

/// The lanes at `i ^ step`.
fn swapped<const W: usize>(lanes: &[u16; W], step: usize) -> [u16; W] {
    core::array::from_fn(|at| lanes.get(at ^ step).copied().unwrap_or_default())
}

fn part(lanes: &[u16; 16]) -> [u16; 8] {
    core::array::from_fn(|at| lanes.get(at).copied().unwrap_or_default())
}

fn join(front: &[u16; 8], back: &[u16; 8]) -> [u16; 16] {
    core::array::from_fn(|at| front.get(at).or_else(|| back.get(at ^ 8)).copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ratchet::spqr::bitwise;
    use proptest::prelude::*;

    #[test]
    fn two_generates_the_multiplicative_group() {
        let mut power = 1;
        for step in 1..=65_535u32 {
            power = times_x(power);
            assert_eq!(power == 1, step == 65_535, "order {step}");
        }
    }

    #[test]
    fn recorded_products_and_inverses_are_reproduced() {
        let vectors = crate::vectors::load("erasure.json");
        let word = |value: &serde_json::Value| u16::try_from(value.as_u64().unwrap()).unwrap();
        for row in vectors["gfProducts"].as_array().unwrap() {
            assert_eq!(mul(word(&row[0]), word(&row[1])), word(&row[2]));
        }
        for row in vectors["gfInverses"].as_array().unwrap() {
            assert_eq!(invert(word(&row[0])), word(&row[1]));
        }
    }

    #[test]
    fn every_inverse_is_one() {
        assert_eq!(invert(0), 0);
        for a in 1..=u16::MAX {
            assert_eq!(mul(a, invert(a)), 1, "{a}");
        }
    }

    proptest! {
        #[test]
        fn products_are_those_bit_by_bit(a in any::<[u16; 8]>(), b in any::<[u16; 8]>()) {
            let product = times(&a, &b);
            for ((a, b), product) in a.into_iter().zip(b).zip(product) {
                prop_assert_eq!(product, bitwise::mul(a, b));
                prop_assert_eq!(product, mul(b, a));
            }
        }

        #[test]
        fn others_leave_out_their_own_lane(lanes in any::<[u16; 16]>()) {
            for (at, product) in others(&lanes).into_iter().enumerate() {
                let factors = lanes.iter().enumerate().filter(|(other, _)| *other != at);
                prop_assert_eq!(product, factors.fold(1, |product, (_, factor)| mul(product, *factor)));
            }
        }
    }
}
