//! Test only: keys that are no secret, and tokens signed by hand.

use std::sync::LazyLock;

use proptest::prop_assert_eq;
use proptest::test_runner::TestCaseError;
use ring::rand::SystemRandom;
use ring::signature::{self, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair, RsaKeyPair};
use serde_json::{Value, json};

use super::compact::encode;
use super::{Algorithm, Family, PublicKey, SigningKey};
use crate::clock::Millis;

pub fn ed25519(seed: u8, created_at: Millis, retired_at: Option<Millis>) -> SigningKey {
    let mut der = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    der.extend([seed; 32]);
    SigningKey::from_pkcs8(Family::Ed25519, &der, created_at, retired_at).unwrap()
}

fn rsa_pkcs8(which: usize) -> Vec<u8> {
    data_encoding::BASE64.decode(RSA[which].as_bytes()).unwrap()
}

pub fn rsa(which: usize, created_at: Millis) -> SigningKey {
    SigningKey::from_pkcs8(Family::Rsa, &rsa_pkcs8(which), created_at, None).unwrap()
}

pub fn rs384(which: usize, text: &[u8]) -> Vec<u8> {
    let pair = RsaKeyPair::from_pkcs8(&rsa_pkcs8(which)).unwrap();
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(&signature::RSA_PKCS1_SHA384, &SystemRandom::new(), text, &mut signature).unwrap();
    signature
}

/// A pair for ES256 or ES384, the same one during a run.
#[derive(Clone)]
pub struct Ec {
    pub algorithm: Algorithm,
    pub public: PublicKey,
    pkcs8: Vec<u8>,
}

static P256: LazyLock<Ec> = LazyLock::new(|| Ec::new(Algorithm::Es256));
static P384: LazyLock<Ec> = LazyLock::new(|| Ec::new(Algorithm::Es384));

impl Ec {
    pub fn p256() -> Ec {
        P256.clone()
    }

    pub fn p384() -> Ec {
        P384.clone()
    }

    fn signing(algorithm: Algorithm) -> &'static EcdsaSigningAlgorithm {
        match algorithm {
            Algorithm::Es256 => &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
            _ => &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
        }
    }

    fn new(algorithm: Algorithm) -> Ec {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(Ec::signing(algorithm), &random).unwrap().as_ref().to_vec();
        let point = EcdsaKeyPair::from_pkcs8(Ec::signing(algorithm), &pkcs8, &random).unwrap().public_key().as_ref().to_vec();
        let public = if algorithm == Algorithm::Es256 { PublicKey::P256(point) } else { PublicKey::P384(point) };
        Ec { algorithm, public, pkcs8 }
    }

    pub fn sign(&self, text: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(Ec::signing(self.algorithm), &self.pkcs8, &random).unwrap();
        pair.sign(&random, text).unwrap().as_ref().to_vec()
    }
}

pub fn hmac(secret: &[u8], text: &[u8]) -> Vec<u8> {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
    ring::hmac::sign(&key, text).as_ref().to_vec()
}

pub fn named(key: &PublicKey, kid: &str) -> Value {
    let mut jwk = key.to_jwk();
    jwk["kid"] = json!(kid);
    jwk
}

pub fn token(header: &str, payload: &str, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let text = format!("{}.{}", encode(header.as_bytes()), encode(payload.as_bytes()));
    let signature = sign(text.as_bytes());
    format!("{text}.{}", encode(&signature))
}

pub fn parts(token: &str) -> [String; 3] {
    token.split('.').map(str::to_owned).collect::<Vec<_>>().try_into().unwrap()
}

/// `token` with another byte at one place, is taken only if that is the same byte.
pub fn with_byte(token: &str, at: proptest::sample::Index, byte: u8, taken: impl Fn(&str) -> bool) -> Result<(), TestCaseError> {
    for byte in [byte, b'A' + byte % 26, b'.', b'='] {
        let mut bytes = token.as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(other) = std::str::from_utf8(&bytes) {
            prop_assert_eq!(taken(other), other == token);
        }
    }
    Ok(())
}

/// PKCS#8, 2048 bits. They sign nothing but these tests.
const RSA: [&str; 2] = [
    "\
     MIIEvwIBADANBgkqhkiG9w0BAQEFAASCBKkwggSlAgEAAoIBAQCUmA5shvx6vmDx5EAo80DLq9B8aqsWS/lA8pz94UKcEiBX2u+qu+7iaLMKXc6CYUJji5Xk\
     sFKtcQzXgf53ekfwLVnUM+cFouN4/BrDVPgQGTFCKnolsfcxwf4EEoPQxE9CltNNR3UO/IOdsDfBua5pVJpy81bxgXtr1B8BY9jhNIOtUdQu6UIU3bRmPU2M\
     +316YThhIwnGljTBw58Y/SCakd0O9G6wkrVAVLaeMgr1rnUDWMdpMUgwMIO/tP/TUWfCGQi0M9oF6SG2oNrhVSdBDks7sJCOSigb3a9KZ8gPIhYBZoX6Rt8M\
     NtFkskhvA+5Idw5j5mUKCqJnwTLpGP6PAgMBAAECggEAChYSMJKvE6PVj8XHByCP3uNQOQnCiDZq+lodhuwh6dcfI+eECipMikjCEmuQp2/zoi8o4weG7Sf1\
     z7EOtUxzEp35cXp+bXcDisROCsE7P1h+a/fXJ7TfSxzYYa1iDistGB+Fw0Kc8wH36x25gyhX6uVnwHK9DZKU7ppM6nq9D3g3E5bQguj7NpK+x9FgHk4v/30c\
     sqC3uVYMC/CWtoqQQGpAPiCPmlrlvJTfOeMHTmZHxtd8ZIAkldg3SmFqRbtauPN4OeaJcqodLt90y1vbOyHCK9TyYKM6U9d0DyA+blQZO0667MdO31zA2Ber\
     tx0n5oux/88Bj7xQet/accWSKQKBgQDJ2ECYeLQcPuEz4E/Zlyk64UgaZ04luJTZuL9TlIQOwpilhf6ZhyWLg+aeIalB//sE0v29KAN6K2jgqPBFSaIBRamT\
     uknMiscBrGo+GuaPQolHkA7Iev9LyY1KyhHuW7eTyQvi0abmvC7k5azMtbwe+dpOa/17I8hu602yYAndhwKBgQC8dkOcPBeebGr5DYAdzR4eehLcyiEttl+n\
     ZshZuWaUgabxl9GfPqH1I4yFQ905jjm+cko5A0F7JqhwRNooA3LG1O6vKgmgTUOvIeo1X3iLVZ5J/P9QHN42hfJdnqyZlroX6BPXLl3AvZ92lxqr/V3ZgpnX\
     VRuQHIh0RhQR7ALYuQKBgQC35TNs9sO53DwXpG17o/HneCrWC3qyeUn8VwrRnkT2oaqrW7pLrEqzopexSJ/JxuuvSH/vH46TdwtVa/WEWwKjwBEwy4/DMEkB\
     qFEfhii7Kvah4YjmdNE1/kqhchsGHD/UAF645yP1okvjNbHKzGS5oA+aVV8bGs3Y6L7gHgm+7wKBgQCA0WWNWRXb18eWzL+Rny7DLjXObOsYz9u6FOtFSRDw\
     2V4/LMK/0pPpd48JWEXSnYCiyIQrTCpp/xaLBsUHLLQ7bDhpypYh2C43ezsXmFZRBwjXEfOB0vmg0xXDID5iDUDOLnfBUZQLtpFVAhvdC6YmkrqNEUNx0c8D\
     ixMU3PllIQKBgQCzwGVB5QOuYFc+gB9n+vGhYHHkNRxM9UdGdrcBaaFk4QD9Yt4wz/bCSyziZ/h4fXUeS1kd4G4XpMvcB/7IXjmwuBLELK+P5WOF41igNuGm\
     AlnCQG2y3gx00QF+1qSeeXWb4zvBnIYPgn2I8FIwIx2K09pfM2wHz5n8k+kQ90/2PQ==",
    "\
     MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQDKjtz4Vi97TwKFNP9vR6tO5Pd/0qfPIvWZsSBZb1GtCQ1qzzyPoGsJkAsh07QcMjKVk2dQ\
     g7gfIopTfwYmcJylQQpdq1lHmZqz7t6Sd6ptfitaCZ2BU4M+KZbQZtgqqWvix7/Xq7P0EO63py3QjMI2fte+b/BIGKybhNQBBlpJ2l+GAimb5D+VI9tWWRtk\
     2sCFQE2p0nD3qk0iPeiZ4tY42yRaYOwtWWOFcCVFEwG8QiDS2G05Zasyd3Wcn5QvqdilGV3FYq9i/InDM3BvMEGdU4UPrQ9YVZdEZVqiKnriAu+QYBQYFPvk\
     pib7qQlk+LABDmEBYUDjrug0nBdlIzJxAgMBAAECggEAD6RI77Zmvpdt2DqCT9C8K6tRFM0AH2Xm4FebahHyFTIh7UcT4/rHzo+8hFVe+bRt+pCiRZyTqc0s\
     MGFv6KUBO7Onk28pcEwuHvSfDwwa8Y9GKr2brO0gMTswmxGYt3FTfvTc3Xs0D3Cv9nz8STgCwVw52HS4HIvR5xqH7TeqiOb8PgTw8jTh5eHucIVpdmnD6L1X\
     I6GpJnM8XJZwoKYdX9j99ULpUJnqHuRMs+JAwXZYloRRxEyyRZqbSxsXNj6rVMBEk6hLb3puf5LcOMGjam8o7gEYh+6u0gZsn3KhpqjdMBo6w9SlyopnREYb\
     VeEcm52R2WZJ/Rgp1PbionNLSQKBgQD71MD2asStRPQaRd/+eRKctwPmcLKyiI3P70Ko9ufDTTWjBqQwAUD3gRYxCs+9N5Hm48TrNRfbiP8/0RHRLrWEhkqQ\
     vAM1y5RgljTXdUlp0mIWCCdjNpA4ApIxvzGH8c2CZ2yvF83VxF3FjhxPuQmG0HGSukR/5HJBU2xbM8jHDQKBgQDN6UsIMAK90cR7U9el3Lz8jT9aB8n0gNjR\
     AoO9eDuk14vAKDuSbChWH6mjA2OifC9eN+fhlx56LydhlzI4qc2gqKd2mY3J8rOtJGTUs8PQF3++Tc7f+KKKT5jE68/YElXtH6w0F1lRybSzRfCh9wvpEibR\
     r3Ps18X1fXCJkOK/9QKBgQDWW7XYyu8Y8g26Y2oUKSjPnvVB7QIe+B+GNIoQWwLSemFCoL+XYSnUw9uI6UQFM00NNSoEcBAbvdRPlP3OiizWXp0P8Anne5+U\
     S6c1E0/nNL5rNIuaZvKByqZ4k99scUXWT4Ty0ZdS87BCHgI5Vi8mwz05gTYXivQ6aPFd/IlV7QKBgQCdYz1rs67UwjqpfYtuhsuZSqlqulteXQHcuExUDUuh\
     kvOJ2/a006D9O1Rhely0vLFEFf1SjDzKbbJvQK8tanT24RKnb3VWMAGwTQoZHpKEQwHsRvLidNxgVbjSg+ApKtKs3bG1W0d1YXSSNtpYIknjS3GKgs5b8Q2p\
     t8jGDY2T5QKBgHEy4iIldEdDc4anK13wSuJhZXlDE/RL2q1ut2XidEJLAKhTTCLCavXUKibniwI4vi72eiiJK0/4Hp6+kQmAMzOP6r97PupZcSWCvtNQWDKH\
     6Ypzxmea4yZ8OtPFMSvy/1s6GCsq/Sg0OFtUwL25Hh155yiJPxTpJAl/LTfSUQmO",
];
