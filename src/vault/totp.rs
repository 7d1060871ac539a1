//! Codes of six digits that an authenticator app makes of a shared secret and the time: TOTP (RFC 6238) with SHA-1 and
//! steps of 30 seconds, which is what every such app knows.

use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use subtle::{Choice, ConstantTimeEq};

use crate::chance::Chance;
use crate::clock::Millis;
use crate::error::{Error, Result};

const STEP_MS: Millis = 30_000;
/// Steps before and after the present one whose code is taken: clocks differ, and typing takes time.
const SKEW: i64 = 1;

/// A new secret of 160 bits in base 32, as an authenticator app takes it.
pub fn new_secret(chance: Chance) -> Result<String> {
    Ok(BASE32_NOPAD.encode(&chance.bytes::<20>()?))
}

/// The step whose code this is, the present one or its neighbours; None when it is no code of theirs. The code of a step is
/// good once: who takes it notes the step.
pub fn step_of(secret: &str, code: &str, now: Millis) -> Result<Option<i64>> {
    let secret = BASE32_NOPAD.decode(secret.as_bytes()).map_err(Error::bug)?;
    let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    let present = now.div_euclid(STEP_MS);
    let mut found = None;
    for step in present - SKEW..=present + SKEW {
        let same: Choice = self::code(&secret, step)?.as_bytes().ct_eq(code.as_bytes());
        if same.into() {
            found = Some(step);
        }
    }
    Ok(found)
}

/// HOTP (RFC 4226, section 5.3) of the step.
fn code(secret: &[u8], step: i64) -> Result<String> {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret).map_err(Error::bug)?;
    mac.update(&step.to_be_bytes());
    let mac = mac.finalize().into_bytes();
    let at = mac.last().map_or(0, |last| usize::from(last & 0xf));
    let four = mac.iter().skip(at).take(4).fold(0u32, |number, byte| number << 8 | u32::from(*byte));
    Ok(format!("{:06}", (four & 0x7fff_ffff) % 1_000_000))
}

/// What an authenticator app reads to take in the secret (the Key URI format), for the account `name` at `host`.
pub fn uri(secret: &str, name: &str, host: &str) -> String {
    let (name, host) = (escaped(name), escaped(host));
    format!("otpauth://totp/{host}:{name}?secret={secret}&issuer={host}&algorithm=SHA1&digits=6&period=30")
}

fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The secret of RFC 6238, appendix B.
    const SECRET: &[u8] = b"12345678901234567890";

    #[test]
    fn the_vectors_of_the_rfc() {
        for (seconds, wanted) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(code(SECRET, seconds / 30).unwrap(), wanted);
        }
    }

    #[test]
    fn a_code_is_good_for_its_step_and_the_neighbours() {
        let secret = BASE32_NOPAD.encode(SECRET);
        let at = |seconds: i64| step_of(&secret, "005924", seconds * 1_000).unwrap();
        let step = 1_234_567_890 / 30;
        for (away, wanted) in [(-2, None), (-1, Some(step)), (0, Some(step)), (1, Some(step)), (2, None)] {
            assert_eq!(at((step + away) * 30), wanted, "{away}");
            assert_eq!(at((step + away) * 30 + 29), wanted, "{away}");
        }
        let now = 1_234_567_890_000;
        assert_eq!(step_of(&secret, " 005 924", now).unwrap(), Some(step));
        for wrong in ["", "005925", "5924", "0059240", "00592४"] {
            assert_eq!(step_of(&secret, wrong, now).unwrap(), None, "{wrong}");
        }
    }

    #[test]
    fn an_app_reads_the_uri() {
        let secret = new_secret(Chance).unwrap();
        assert_eq!((secret.len(), BASE32_NOPAD.decode(secret.as_bytes()).unwrap().len()), (32, 20));
        assert_eq!(
            uri("ABC", "a b&c@example.org", "firth.example"),
            "otpauth://totp/firth.example:a%20b%26c%40example.org?secret=ABC&issuer=firth.example&algorithm=SHA1&digits=6&period=30"
        );
    }
}
