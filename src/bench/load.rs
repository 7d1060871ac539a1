//! Closed loops: so many clients, each asking again as soon as it is answered.

use std::thread;
use std::time::{Duration, Instant};

use super::client::Client;
use super::dice::Dice;
use super::machine;
use super::server::Server;
use crate::error::{Error, Kind, Result};

/// What some requests came to.
#[derive(Default)]
pub struct Lap {
    pub requests: u64,
    pub bytes: u64,
    /// Sum over the rounds, not over the clients.
    pub wall: Duration,
    pub micros: Vec<u32>,
    /// The same by interaction, where it was told: read, create, update, delete.
    pub by_kind: [Vec<u32>; 4],
    /// CPU seconds of the server and of this process, where the machine tells them.
    pub cpu: Option<(f64, f64)>,
}

impl Lap {
    pub fn count(&mut self, took: Duration, bytes: usize) {
        self.requests += 1;
        self.bytes += bytes as u64;
        self.micros.push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
    }

    /// The same, told apart by interaction.
    pub fn count_as(&mut self, kind: usize, took: Duration, bytes: usize) {
        self.count(took, bytes);
        self.by_kind[kind].extend(self.micros.last());
    }

    /// Adds the requests of another client; the time they took together is the caller's to set.
    pub fn add(&mut self, other: Lap) {
        self.requests += other.requests;
        self.bytes += other.bytes;
        self.micros.extend(other.micros);
        self.by_kind.iter_mut().zip(other.by_kind).for_each(|(kind, more)| kind.extend(more));
    }

    /// Adds a whole round.
    pub fn then(&mut self, round: Lap) {
        self.wall += round.wall;
        let before = self.cpu.unwrap_or_default();
        self.cpu = round.cpu.map(|cpu| (before.0 + cpu.0, before.1 + cpu.1));
        self.add(round);
    }

    pub fn per_sec(&self) -> f64 {
        self.requests as f64 / self.wall.as_secs_f64().max(1e-9)
    }

    pub fn mean_bytes(&self) -> usize {
        (self.bytes / self.requests.max(1)) as usize
    }

    /// Milliseconds that this share of the requests stayed under.
    pub fn quantile_ms(&mut self, share: f64) -> Option<f64> {
        quantile_ms(&mut self.micros, share)
    }

    pub fn quantile_of_kind_ms(&mut self, kind: usize, share: f64) -> Option<f64> {
        quantile_ms(&mut self.by_kind[kind], share)
    }
}

fn quantile_ms(micros: &mut [u32], share: f64) -> Option<f64> {
    micros.sort_unstable();
    let last = micros.len().checked_sub(1)?;
    Some(f64::from(micros[(last as f64 * share).round() as usize]) / 1e3)
}

/// What a client does next, counting each request; `false` when there is nothing left to do.
pub type Step<'a> = &'a (dyn Fn(&mut Client, &mut Dice, &mut Lap) -> Result<bool> + Sync);

/// One round: how many clients, how long, and which picks.
#[derive(Clone, Copy)]
pub struct Round {
    pub clients: usize,
    pub lasting: Duration,
    pub number: u64,
}

/// Drives a server for a round.
pub fn drive(server: &Server, round: Round, step: Step<'_>) -> Result<Lap> {
    let mut connections = (0..round.clients).map(|_| Client::connect(server.address)).collect::<Result<Vec<_>>>()?;
    let cpu = |pid| machine::cpu_secs(pid);
    let before = (cpu(server.pid()), cpu(std::process::id()));
    let began = Instant::now();
    let parts: Vec<Result<Lap>> = thread::scope(|scope| {
        let picks = |n: usize| Dice::of((round.number << 32) | n as u64);
        let clients: Vec<_> = connections
            .iter_mut()
            .enumerate()
            .map(|(n, client)| scope.spawn(move || one_client(client, picks(n), began + round.lasting, step)))
            .collect();
        clients.into_iter().map(|client| client.join().unwrap_or_else(|_| Err(Error::bug("a client panicked")))).collect()
    });
    let mut all = Lap { wall: began.elapsed(), ..Lap::default() };
    if let ((Some(s0), Some(c0)), (Some(s1), Some(c1))) = (before, (cpu(server.pid()), cpu(std::process::id()))) {
        all.cpu = Some((s1 - s0, c1 - c0));
    }
    for part in parts {
        all.add(part?);
    }
    Ok(all)
}

fn one_client(client: &mut Client, mut dice: Dice, until: Instant, step: Step<'_>) -> Result<Lap> {
    let mut lap = Lap::default();
    while Instant::now() < until && step(client, &mut dice, &mut lap)? {}
    Ok(lap)
}

/// What a request that must succeed was answered otherwise.
pub fn refused(status: u16, body: &[u8]) -> Error {
    let said = String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned();
    Error::new(Kind::Busy, format!("a request was answered {status}: {said}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_all_requests() {
        let mut lap = Lap::default();
        assert_eq!(lap.quantile_ms(0.5), None);
        (1..=101).rev().for_each(|n| lap.count(Duration::from_millis(n), 10));
        assert_eq!((lap.quantile_ms(0.5), lap.quantile_ms(0.99)), (Some(51.0), Some(100.0)));
        assert_eq!(lap.mean_bytes(), 10);
    }
}
