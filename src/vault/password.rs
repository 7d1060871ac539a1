//! Passwords: argon2id (RFC 9106) with the parameters that OWASP's Password Storage Cheat Sheet asks for at least. Each takes
//! 19 MiB and some milliseconds of a core, so only a few are worked on at once, and not many wait for that.

use std::sync::{Condvar, Mutex, PoisonError};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use data_encoding::BASE32_NOPAD;
use unicode_normalization::UnicodeNormalization;

use crate::chance::Chance;
use crate::error::{Error, Kind, Result};

const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const AT_ONCE: usize = 2;
const WAITING: usize = 32;

/// Letters of a password that somebody chooses.
const LEAST: usize = 12;
const MOST: usize = 128;

/// Hashes and verifies, a few at once.
pub struct Passwords {
    queue: Mutex<Queue>,
    bell: Condvar,
    /// Verified when there is no password, so that both take as long.
    decoy: String,
}

struct Queue {
    free: usize,
    waiting: usize,
}

struct Turn<'a>(&'a Passwords);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner).free += 1;
        self.0.bell.notify_one();
    }
}

impl Default for Passwords {
    fn default() -> Passwords {
        // Salt and hash of the right lengths: no password has them.
        let decoy = format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${}${}", "A".repeat(22), "A".repeat(43));
        Passwords { queue: Mutex::new(Queue { free: AT_ONCE, waiting: 0 }), bell: Condvar::new(), decoy }
    }
}

impl Passwords {
    fn turn(&self) -> Result<Turn<'_>> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.free == 0 && queue.waiting == WAITING {
            return Err(Error::new(Kind::Busy, "Too many sign in at this moment."));
        }
        queue.waiting += 1;
        queue = self.bell.wait_while(queue, |queue| queue.free == 0).unwrap_or_else(PoisonError::into_inner);
        queue.waiting -= 1;
        queue.free -= 1;
        Ok(Turn(self))
    }

    /// The password in PHC form, `$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH`. `Kind::Busy` when too many wait. Blocks the
    /// calling thread.
    pub fn hash(&self, chance: Chance, password: &str) -> Result<String> {
        let _turn = self.turn()?;
        let salt: [u8; 16] = chance.bytes()?;
        let hashed = cost()?.hash_password_with_salt(normal(password).as_bytes(), &salt).map_err(Error::bug)?;
        Ok(hashed.to_string())
    }

    /// Is it the password? Without a kept one the answer is no, after the same work. `Kind::Busy` when too many wait. Blocks
    /// the calling thread.
    pub fn fits(&self, password: &str, kept: Option<&str>) -> Result<bool> {
        let _turn = self.turn()?;
        let parsed = PasswordHash::new(kept.unwrap_or(&self.decoy)).map_err(Error::bug)?;
        let fits = cost()?.verify_password(normal(password).as_bytes(), &parsed).is_ok();
        Ok(fits && kept.is_some())
    }
}

fn cost() -> Result<Argon2<'static>> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(Error::bug)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// One spelling of letters that may be typed in several ways (NIST SP 800-63B, section 5.1.1.2).
fn normal(password: &str) -> String {
    password.nfkc().collect()
}

/// A password for once: 100 random bits, in groups that can be read out.
pub fn one_time(chance: Chance) -> Result<String> {
    let letters = BASE32_NOPAD.encode(&chance.bytes::<13>()?).to_lowercase();
    let groups: Vec<&str> = [0, 5, 10, 15].iter().filter_map(|at| letters.get(*at..at + 5)).collect();
    Ok(groups.join("-"))
}

/// May somebody choose it? `Kind::Unprocessable` says why not. No kind of letter is asked for; what is guessed first is
/// refused (OWASP ASVS 5.0, 6.2.1, 6.2.4, 6.2.5, 6.2.11).
pub fn may_choose(password: &str, name: &str) -> Result<()> {
    let letters = password.chars().count();
    let refused = |says: String| Err(Error::new(Kind::Unprocessable, says).at("password"));
    if letters < LEAST {
        return refused(format!("a password has at least {LEAST} characters; this one has {letters}"));
    }
    if letters > MOST {
        return refused(format!("a password has at most {MOST} characters"));
    }
    // Every word that is known about the person is guessed first.
    let words: Vec<&str> = name.split(|c: char| !c.is_alphanumeric()).chain([name, "firth"]).filter(|word| word.len() > 2).collect();
    if zxcvbn::zxcvbn(password, &words).score() < zxcvbn::Score::Three {
        return refused("the password is easy to guess; choose another, for example four words that do not belong together".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_fits() {
        let passwords = Passwords::default();
        let kept = passwords.hash(Chance, "correct horse").unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert_ne!(kept, passwords.hash(Chance, "correct horse").unwrap());
        assert!(passwords.fits("correct horse", Some(&kept)).unwrap());
        assert!(!passwords.fits("correct horsf", Some(&kept)).unwrap());
        assert!(!passwords.fits("correct horse", None).unwrap());
        assert!(!passwords.fits("", None).unwrap());
        // U+FB01 is "fi" as one letter.
        let kept = passwords.hash(Chance, "\u{fb01}sh and chips").unwrap();
        assert!(passwords.fits("fish and chips", Some(&kept)).unwrap());
    }

    #[test]
    fn every_turn_is_given_back() {
        let passwords = Passwords::default();
        for _ in 0..3 * AT_ONCE {
            assert!(passwords.fits("x", Some("no PHC string")).is_err());
        }
        assert_eq!(passwords.queue.lock().unwrap().free, AT_ONCE);
    }

    #[test]
    fn not_too_many_wait() {
        let passwords = Passwords::default();
        let turns: Vec<Turn<'_>> = (0..AT_ONCE).map(|_| passwords.turn().unwrap()).collect();
        passwords.queue.lock().unwrap().waiting = WAITING;
        assert_eq!(passwords.fits("x", None).map_err(|e| e.kind), Err(Kind::Busy));
        drop(turns);
        assert!(!passwords.fits("x", None).unwrap());
    }

    #[test]
    fn what_is_guessed_first_is_refused() {
        let mallory = "mallory.fenwick@example.org";
        for bad in [
            "short",
            "elevenchars",
            "password1234",
            "passwordpassword",
            "qwertyuiop12",
            "aaaaaaaaaaaaaaaa",
            "fenwickmallory",
            &"x1y".repeat(50),
        ] {
            assert_eq!(may_choose(bad, mallory).map_err(|e| e.kind), Err(Kind::Unprocessable), "{bad}");
        }
        for good in ["violet tractor hums backwards", "q8#Lw0!vTz2m", &one_time(Chance).unwrap()] {
            assert!(may_choose(good, mallory).is_ok(), "{good}");
        }
    }

    #[test]
    fn a_password_for_once_is_new_each_time() {
        let (one, two) = (one_time(Chance).unwrap(), one_time(Chance).unwrap());
        assert!(one != two && one.len() == 23 && one.matches('-').count() == 3, "{one}");
    }
}
