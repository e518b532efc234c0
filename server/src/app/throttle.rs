//! Slows down guessing.
//!
//! Owns counts of tries by account and by network, in memory. Invariants: headers of a request never
//! change whose count rises, and an owner who signs in from a network that was right before is not locked
//! out by strangers elsewhere. Counts are for each process and are gone after a restart: guessing then
//! starts anew from nothing, ten tries at a time.

use std::{
    collections::VecDeque,
    hash::Hash,
    net::IpAddr,
    num::NonZeroUsize,
    sync::{Mutex, PoisonError},
};

use lru::LruCache;
use so_model::{
    id::UserId,
    time::{HOUR, MINUTE, SECOND, Timestamp},
};

use super::failure::{Failure, Outcome};

/// Wrong passwords for one account within `ACCOUNT_SPAN`.
const ACCOUNT_TRIES: usize = 10;
const ACCOUNT_SPAN: i64 = 15 * MINUTE;
/// Wrong passwords from one network within an hour, whatever the account.
const NETWORK_TRIES: usize = 100;
/// Accounts made from one network within an hour.
const REGISTER_TRIES: usize = 20;
const NETWORK_SPAN: i64 = HOUR;
/// Addresses one person may look up by adding members within an hour.
const LOOKUP_TRIES: usize = 60;
/// Keys remembered at a time; the longest unused ones are forgotten.
const KEYS_MAX: usize = 50_000;

/// One address, or the part of an IPv6 address that one customer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network(u128);

impl Network {
    /// The network of a peer.
    pub fn of(peer: IpAddr) -> Self {
        match peer.to_canonical() {
            IpAddr::V4(address) => Self(u128::from(u32::from(address))),
            // A customer has a /64 at the least and can choose any address in it.
            IpAddr::V6(address) => Self(u128::from(address) >> 64 << 64 | 1),
        }
    }
}

type Account = [u8; 32];

/// The counts.
pub struct Throttle {
    accounts: Counts<Account>,
    known: Counts<(Account, Network)>,
    networks: Counts<Network>,
    registrations: Counts<Network>,
    lookups: Counts<UserId>,
    right: Mutex<LruCache<(Account, Network), ()>>,
}

impl Default for Throttle {
    fn default() -> Self {
        Self {
            accounts: Counts::new(ACCOUNT_TRIES, ACCOUNT_SPAN),
            known: Counts::new(ACCOUNT_TRIES, ACCOUNT_SPAN),
            networks: Counts::new(NETWORK_TRIES, NETWORK_SPAN),
            registrations: Counts::new(REGISTER_TRIES, NETWORK_SPAN),
            lookups: Counts::new(LOOKUP_TRIES, NETWORK_SPAN),
            right: Mutex::new(LruCache::new(keys_max())),
        }
    }
}

impl Throttle {
    /// Counts a try to sign in before its password is looked at; refuses when there were too many.
    ///
    /// Counted before, so that tries that run side by side count as well.
    pub fn before_password(&self, email: &str, peer: IpAddr, now: Timestamp) -> Outcome<()> {
        let (account, network) = (account(email), Network::of(peer));
        self.networks.count(network, now)?;
        if self.is_right(account, network) {
            self.known.count((account, network), now)
        } else {
            self.accounts.count(account, now)
        }
    }

    /// Takes back the count of a try that was right, and remembers the network.
    ///
    /// The network's own count stays: one right account must not open the door to guessing at others.
    pub fn was_right(&self, email: &str, peer: IpAddr) {
        let (account, network) = (account(email), Network::of(peer));
        if self.is_right(account, network) {
            self.known.forget(&(account, network));
        } else {
            self.accounts.take_back(&account);
        }
        lock(&self.right).put((account, network), ());
    }

    /// Counts a registration; refuses when there were too many.
    pub fn before_registration(&self, peer: IpAddr, now: Timestamp) -> Outcome<()> {
        self.registrations.count(Network::of(peer), now)
    }

    /// Counts a look for an address; refuses when there were too many.
    pub fn before_lookup(&self, user: UserId, now: Timestamp) -> Outcome<()> {
        self.lookups.count(user, now)
    }

    fn is_right(&self, account: Account, network: Network) -> bool {
        lock(&self.right).get(&(account, network)).is_some()
    }
}

// Hashed, so that a long text is no long key.
fn account(email: &str) -> Account {
    super::secrets::mac(b"throttle", &[email.as_bytes()])
}

struct Counts<K: Hash + Eq> {
    tries: usize,
    span: i64,
    moments: Mutex<LruCache<K, VecDeque<Timestamp>>>,
}

impl<K: Hash + Eq> Counts<K> {
    fn new(tries: usize, span: i64) -> Self {
        Self {
            tries,
            span,
            moments: Mutex::new(LruCache::new(keys_max())),
        }
    }

    fn count(&self, key: K, now: Timestamp) -> Outcome<()> {
        let mut all = lock(&self.moments);
        let moments = all.get_or_insert_mut(key, VecDeque::new);
        while moments
            .front()
            .is_some_and(|first| now.since(*first) >= self.span)
        {
            moments.pop_front();
        }
        if moments.len() < self.tries {
            moments.push_back(now);
            return Ok(());
        }
        let oldest = moments.front().copied().unwrap_or(now);
        let wait = self.span - now.since(oldest);
        Err(Failure::throttled((wait + SECOND - 1) / SECOND))
    }

    fn take_back(&self, key: &K) {
        if let Some(moments) = lock(&self.moments).get_mut(key) {
            moments.pop_back();
        }
    }

    fn forget(&self, key: &K) {
        lock(&self.moments).pop(key);
    }
}

fn keys_max() -> NonZeroUsize {
    NonZeroUsize::new(KEYS_MAX).unwrap_or(NonZeroUsize::MIN)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * SECOND)
    }
    fn ip(last: u8) -> IpAddr {
        IpAddr::from([203, 0, 113, last])
    }

    #[test]
    fn ten_tries_reach_the_password_however_many_networks_guess() {
        let throttle = Throttle::default();
        let passed = (0..100)
            .filter(|n| throttle.before_password("ada@x.org", ip(*n), at(0)).is_ok())
            .count();
        assert_eq!(passed, ACCOUNT_TRIES);
        let refused = throttle
            .before_password("ada@x.org", ip(200), at(60))
            .unwrap_err();
        assert_eq!(
            (refused.problem.status, refused.retry_after),
            (429, Some(14 * 60))
        );
        assert!(
            throttle
                .before_password("ada@x.org", ip(200), at(15 * 60))
                .is_ok()
        );
    }

    #[test]
    fn strangers_do_not_lock_the_owner_out() {
        let throttle = Throttle::default();
        throttle.before_password("ada@x.org", ip(1), at(0)).unwrap();
        throttle.was_right("ada@x.org", ip(1));
        for n in 0..50 {
            let _ = throttle.before_password("ada@x.org", ip(50 + n), at(1));
        }
        assert!(
            throttle
                .before_password("ada@x.org", ip(99), at(2))
                .is_err()
        );
        assert!(throttle.before_password("ada@x.org", ip(1), at(2)).is_ok());
    }

    #[test]
    fn one_network_guesses_at_few_accounts() {
        let throttle = Throttle::default();
        let passed = (0..500)
            .filter(|n| {
                throttle
                    .before_password(&format!("u{n}@x.org"), ip(1), at(0))
                    .is_ok()
            })
            .count();
        assert_eq!(passed, NETWORK_TRIES);
    }

    #[test]
    fn an_ipv6_customer_is_one_network() {
        let a: IpAddr = "2001:db8:1:2::1".parse().unwrap();
        let b: IpAddr = "2001:db8:1:2:ffff::9".parse().unwrap();
        let c: IpAddr = "2001:db8:1:3::1".parse().unwrap();
        assert_eq!(Network::of(a), Network::of(b));
        assert_ne!(Network::of(a), Network::of(c));
        assert_eq!(
            Network::of("::ffff:203.0.113.1".parse().unwrap()),
            Network::of(ip(1))
        );
    }
}
