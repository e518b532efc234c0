//! A private PostgreSQL cluster for tests.
//!
//! Owns the cluster's life and the making of databases in it; it must not know any schema and
//! names no database driver. Invariant: commits are durable as in production, since the tests of
//! crashes mean something only then.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};

use crate::counterpart::{Process, Unavailable};

/// The database that every new cluster has.
const FIRST_DATABASE: &str = "postgres";
/// PostgreSQL cuts longer names silently, which would make two names one.
const NAME_BYTES_MAX: usize = 63;

/// A running cluster; stops and is removed when dropped or when the process ends.
pub struct PostgresCluster {
    /// The port on 127.0.0.1 that the cluster began with.
    pub port: u16,
    /// The folder of its socket.
    pub socket_folder: String,
    /// For example `15.13`.
    pub version: String,
    user: String,
    /// Where the primary listens now.
    primary: AtomicU16,
    databases_made: AtomicU64,
    process: Process,
}

impl PostgresCluster {
    /// Starts a cluster; fails when PostgreSQL's programs are missing or it does not come up.
    pub fn start() -> Result<Self, Unavailable> {
        let (process, mut ready) = Process::start("postgres", 1)?;
        let port = port_of(&ready.take("port")?)?;
        Ok(Self {
            port,
            primary: AtomicU16::new(port),
            socket_folder: ready.take("socket")?,
            version: ready.take("version")?,
            user: ready.take("user")?,
            databases_made: AtomicU64::new(0),
            process,
        })
    }

    /// Gives the one cluster that this process's tests share; fails as [`Self::start`] does.
    ///
    /// Starting takes seconds, making a database in it a tenth of one.
    pub fn shared() -> Result<&'static Self, Unavailable> {
        // Statics are not dropped: the cluster ends because its standard input closes with us.
        static SHARED: OnceLock<Result<PostgresCluster, Unavailable>> = OnceLock::new();
        SHARED
            .get_or_init(Self::start)
            .as_ref()
            .map_err(Clone::clone)
    }

    /// The address of the database that is there from the start.
    pub fn url(&self) -> String {
        self.database_url(FIRST_DATABASE)
    }

    /// Makes an empty database and gives its address; fails when the name is taken.
    ///
    /// Names are lower-case letters, digits and underscores, at most 63.
    pub fn create_database(&self, name: &str) -> Result<String, Unavailable> {
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(is_plain) {
            let reason = format!("{name:?} is not a plain database name");
            return Err(Unavailable::new("postgres", reason));
        }
        self.process.command(&format!("create {name}"))?;
        Ok(self.database_url(name))
    }

    /// Makes an empty database under a name not used before and gives its address.
    pub fn create_fresh_database(&self) -> Result<String, Unavailable> {
        let number = self.databases_made.fetch_add(1, Ordering::Relaxed);
        self.create_database(&format!("fresh_{number}"))
    }

    /// Kills the server with SIGKILL; its data stays for [`Self::restart`].
    pub fn crash(&self) -> Result<(), Unavailable> {
        self.process.command("crash").map(drop)
    }

    /// Starts the killed server on the same port and data; fails when it does not come up.
    pub fn restart(&self) -> Result<(), Unavailable> {
        self.process.command("start").map(drop)
    }

    /// Kills the server and its children with SIGKILL, as when its machine loses power.
    pub fn crash_all(&self) -> Result<(), Unavailable> {
        self.process.command("crash-all").map(drop)
    }

    /// Starts a standby that follows the primary; from now on commits wait for it as well.
    ///
    /// Fails when there is one already or it does not come up.
    pub fn begin_standby(&self) -> Result<(), Unavailable> {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .map_err(|error| Unavailable::new("postgres", format!("no free port: {error}")))?;
        self.process
            .command(&format!("standby {}", free.port()))
            .map(drop)
    }

    /// Makes the standby the primary, whose port it gives; the former one must be dead.
    pub fn promote(&self) -> Result<u16, Unavailable> {
        let port = port_of(&self.process.command("promote")?.take("port")?)?;
        self.primary.store(port, Ordering::Relaxed);
        Ok(port)
    }

    /// Where the primary listens on 127.0.0.1 now.
    pub fn primary_port(&self) -> u16 {
        self.primary.load(Ordering::Relaxed)
    }

    /// Runs a statement as the cluster's owner; fails with what the server said.
    pub fn run(&self, statement: &str) -> Result<(), Unavailable> {
        self.process.command(&format!("sql {statement}")).map(drop)
    }

    fn database_url(&self, name: &str) -> String {
        let (user, port) = (&self.user, self.primary_port());
        format!("postgres://{user}@127.0.0.1:{port}/{name}")
    }
}

fn port_of(text: &str) -> Result<u16, Unavailable> {
    text.parse()
        .map_err(|_| Unavailable::new("postgres", format!("{text} is no port")))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::PostgresCluster;
    use crate::counterpart::or_skip;

    /// Opens a session as a driver would and tells whether it became ready for queries.
    fn opens(port: u16, database: &str) -> std::io::Result<bool> {
        let mut message = vec![0, 0, 0, 0, 0, 3, 0, 0];
        message.extend_from_slice(format!("user\0so\0database\0{database}\0\0").as_bytes());
        let length = u32::try_from(message.len()).map_err(std::io::Error::other)?;
        message[..4].copy_from_slice(&length.to_be_bytes());
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.write_all(&message)?;
        loop {
            let mut head = [0; 5];
            stream.read_exact(&mut head)?;
            match head[0] {
                b'Z' => return Ok(true),
                b'E' => return Ok(false),
                _ => {}
            }
            let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
            let mut body = vec![0; length.saturating_sub(4) as usize];
            stream.read_exact(&mut body)?;
        }
    }

    #[test]
    fn a_made_database_is_there_and_survives_a_crash() {
        let test = "a_made_database_is_there_and_survives_a_crash";
        let Some(cluster) = or_skip(test, PostgresCluster::start()) else {
            return;
        };
        let url = cluster.create_database("orders").unwrap();
        assert_eq!(
            url,
            format!("postgres://so@127.0.0.1:{}/orders", cluster.port)
        );
        assert!(opens(cluster.port, "orders").unwrap());
        assert!(!opens(cluster.port, "never_made").unwrap());
        assert!(cluster.create_database("orders").is_err());

        cluster.crash().unwrap();
        assert!(opens(cluster.port, "orders").is_err());
        cluster.restart().unwrap();
        assert!(opens(cluster.port, "orders").unwrap());
    }

    #[test]
    fn a_promoted_standby_has_what_the_primary_had() {
        let test = "a_promoted_standby_has_what_the_primary_had";
        let Some(cluster) = or_skip(test, PostgresCluster::start()) else {
            return;
        };
        cluster.begin_standby().unwrap();
        assert!(cluster.begin_standby().is_err());
        cluster.create_database("orders").unwrap();
        cluster.crash_all().unwrap();
        let port = cluster.promote().unwrap();
        assert_ne!(port, cluster.port);
        assert!(opens(port, "orders").unwrap());
        // It takes writes, and can be followed in turn.
        cluster.create_database("more").unwrap();
        cluster.begin_standby().unwrap();
        cluster.run("create table t (a int)").unwrap();
        assert!(cluster.run("create table t (a int)").is_err());
    }

    #[test]
    fn a_dropped_cluster_is_gone_with_its_data() {
        let test = "a_dropped_cluster_is_gone_with_its_data";
        let Some(cluster) = or_skip(test, PostgresCluster::start()) else {
            return;
        };
        let (port, folder) = (cluster.port, cluster.socket_folder.clone());
        assert!(std::path::Path::new(&folder).exists());
        drop(cluster);
        assert!(opens(port, "postgres").is_err());
        assert!(!std::path::Path::new(&folder).exists());
    }

    #[test]
    fn a_name_with_a_quote_is_refused() {
        let test = "a_name_with_a_quote_is_refused";
        let Some(cluster) = or_skip(test, PostgresCluster::shared()) else {
            return;
        };
        assert!(cluster.create_database("a\"; drop").is_err());
        assert_ne!(
            cluster.create_fresh_database().unwrap(),
            cluster.create_fresh_database().unwrap()
        );
    }
}
