//! DOOR governor: how often one address may ask for what costs us something, or must not be guessed.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

/// So often it is looked which addresses need not be remembered any more.
const LOOK: u32 = 1_000;

/// So many requests a minute for each address.
pub struct Limit {
    addresses: DefaultKeyedRateLimiter<IpAddr>,
    asked: AtomicU32,
}

impl Limit {
    pub fn per_minute(often: u32) -> Limit {
        Limit::of(Quota::per_minute(NonZeroU32::MIN.saturating_add(often.saturating_sub(1))))
    }

    fn of(quota: Quota) -> Limit {
        Limit { addresses: RateLimiter::keyed(quota), asked: AtomicU32::new(0) }
    }

    /// May this address ask once more? Asking counts.
    pub fn allows(&self, address: &str) -> bool {
        if self.asked.fetch_add(1, Ordering::Relaxed) % LOOK == LOOK - 1 {
            self.addresses.retain_recent();
            self.addresses.shrink_to_fit();
        }
        self.addresses.check_key(&network(address)).is_ok()
    }
}

/// Whom an address stands for: of IPv6 everybody has a /64 at least (RFC 6177), so its addresses count as one. What is no
/// address is one, too.
pub fn network(address: &str) -> IpAddr {
    match address.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V6(address)) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        Ok(address) => address,
        Err(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_ipv6_stands_for_its_network() {
        for (address, wanted) in [
            ("2001:db8:0:1::7", "2001:db8:0:1::"),
            ("2001:db8:0:1:ffff:ffff:ffff:ffff", "2001:db8:0:1::"),
            ("2001:db8:0:2::7", "2001:db8:0:2::"),
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("unknown", "::"),
        ] {
            assert_eq!(network(address).to_string(), wanted, "{address}");
        }
    }

    #[test]
    fn who_has_used_up_its_minute_waits_and_nobody_else() {
        let limit = Limit::per_minute(2);
        let allowed = ["192.0.2.7", "192.0.2.7", "192.0.2.7", "192.0.2.8"].map(|address| limit.allows(address));
        assert_eq!(allowed, [true, true, false, true]);
    }

    #[test]
    fn addresses_that_may_ask_again_are_forgotten() {
        // Each address may ask again after a microsecond.
        let limit = Limit::of(Quota::per_second(NonZeroU32::MIN.saturating_add(999_999)));
        for n in 0..10 * LOOK {
            assert!(limit.allows(&std::net::Ipv4Addr::from_bits(n).to_string()));
        }
        assert!(limit.addresses.len() <= 2 * LOOK as usize, "{}", limit.addresses.len());
    }
}
