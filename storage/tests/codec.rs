//! The codec: every profile that is placed, under every pattern of losses that it has to bear.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod support;

use bytes::Bytes;
use storage::codec::{Codec, CodecError, Profile};
use support::{bytes, golden};

const PROFILES: [&str; 9] = ["1+0", "1+1", "2+1", "3+1", "1+2", "2+2", "3+2", "4+2", "8+3"];
const LENGTHS: [usize; 6] = [2, 62, 64, 66, 130, 4096];

fn codec(profile: &str) -> Codec {
    Codec::new(profile.parse().unwrap())
}

/// A stripe's data and parity.
fn stripe(codec: &Codec, seed: u64, length: usize) -> Vec<Option<Bytes>> {
    let data: Vec<Vec<u8>> = (0..codec.profile().data()).map(|index| bytes(seed + index as u64, length)).collect();
    let parity = codec.encode(&data.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
    assert_eq!(parity.len(), codec.profile().parity());
    data.into_iter().chain(parity).map(|block| Some(Bytes::from(block))).collect()
}

fn lose(stripe: &[Option<Bytes>], lost: u32) -> Vec<Option<Bytes>> {
    let keep = |index: usize| lost & (1 << index) == 0;
    stripe.iter().enumerate().map(|(index, block)| block.clone().filter(|_| keep(index))).collect()
}

#[test]
fn every_bearable_loss_is_restored_and_every_other_refused() {
    for profile in PROFILES {
        let codec = codec(profile);
        let shape: Profile = codec.profile();
        for length in LENGTHS {
            let whole = stripe(&codec, 100, length);
            for lost in 0..1 << shape.shards() {
                let mut data = lose(&whole, lost);
                let mut all = data.clone();
                if lost.count_ones() as usize > shape.parity() {
                    let present = shape.shards() - lost.count_ones() as usize;
                    let error = CodecError::TooFew { needed: shape.data(), present };
                    assert_eq!(codec.reconstruct(&mut data), Err(error.clone()));
                    assert_eq!(codec.reconstruct_all(&mut all), Err(error));
                    continue;
                }
                codec.reconstruct(&mut data).unwrap();
                assert_eq!(data[..shape.data()], whole[..shape.data()], "{profile}, {length} bytes, lost {lost:b}");
                codec.reconstruct_all(&mut all).unwrap();
                assert_eq!(all, whole, "{profile}, {length} bytes, lost {lost:b}");
            }
        }
    }
}

#[test]
fn a_code_is_linear() {
    for profile in PROFILES {
        let codec = codec(profile);
        let (left, right) = (stripe(&codec, 1, 128), stripe(&codec, 50, 128));
        let xor = |left: &Option<Bytes>, right: &Option<Bytes>| -> Vec<u8> {
            left.iter().flatten().zip(right.iter().flatten()).map(|(left, right)| left ^ right).collect()
        };
        let sum: Vec<Vec<u8>> = left.iter().zip(&right).map(|(left, right)| xor(left, right)).collect();
        let data: Vec<&[u8]> = sum[..codec.profile().data()].iter().map(Vec::as_slice).collect();
        assert_eq!(codec.encode(&data).unwrap(), sum[codec.profile().data()..], "{profile}");
    }
}

#[test]
fn one_parity_is_the_xor_and_copies_are_copies() {
    let xor = stripe(&codec("3+1"), 9, 66);
    for at in 0..66 {
        assert_eq!(xor.iter().flatten().fold(0, |sum, block| sum ^ block[at]), 0);
    }
    let copies = stripe(&codec("1+2"), 9, 66);
    assert!(copies.iter().all(|block| *block == copies[0]));
}

#[test]
fn parity_bytes_are_frozen() {
    for profile in &PROFILES[1..] {
        let codec = codec(profile);
        let mut parity = Vec::new();
        for length in [2, 66, 192] {
            for block in stripe(&codec, 7, length).split_off(codec.profile().data()) {
                parity.extend_from_slice(&block.unwrap());
            }
        }
        golden(&format!("parity-{profile}.v1"), &parity);
    }
}

#[test]
fn other_shapes_are_refused() {
    let codec = codec("2+2");
    assert_eq!(codec.encode(&[&[1, 2]]), Err(CodecError::Count { expected: 2, actual: 1 }));
    assert_eq!(codec.encode(&[&[1, 2], &[1, 2, 3, 4]]), Err(CodecError::Length));
    assert_eq!(codec.encode(&[&[1], &[1]]), Err(CodecError::Length));
    assert_eq!(codec.encode(&[&[], &[]]), Err(CodecError::Length));
    let mut shards = vec![Some(Bytes::from_static(&[1, 2])), Some(Bytes::from_static(&[1, 2, 3, 4])), None, None];
    assert_eq!(codec.reconstruct(&mut shards), Err(CodecError::Length));
    assert_eq!(codec.reconstruct(&mut shards[..3]), Err(CodecError::Count { expected: 4, actual: 3 }));
}

#[test]
fn one_codec_serves_stripes_of_changing_length() {
    let codec = codec("4+2");
    for length in [4096, 2, 64, 1 << 20, 66] {
        let whole = stripe(&codec, length as u64, length);
        let mut damaged = lose(&whole, 0b1001);
        codec.reconstruct_all(&mut damaged).unwrap();
        assert_eq!(damaged, whole);
    }
}

#[test]
fn a_codec_is_shared_by_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Codec>();
}
