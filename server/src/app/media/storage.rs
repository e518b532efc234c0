//! Where the bytes of files lie: in the data folder, through `object_store`.
//!
//! Invariants: a key is made by the server, never taken from a request; bytes are on disk when `put`
//! answers.

use std::{io, path::Path, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use object_store::{ObjectStoreExt as _, PutPayload, local::LocalFileSystem, path};
use so_actions::MediaBytes;
use tokio::sync::Semaphore;

/// Pictures decoded at a time.
const DECODINGS: usize = 1;
/// Uploads taken at a time: each holds a whole file in memory, 20 MiB at most.
pub(super) const UPLOADS: usize = 4;

/// The bytes of all files. Cheap to clone.
#[derive(Clone, Debug)]
pub struct MediaStore {
    files: Arc<LocalFileSystem>,
    decoding: Arc<Semaphore>,
    uploads: Arc<Semaphore>,
}

impl MediaStore {
    /// The folder `media` in the data folder; made if it is not there.
    pub fn open(data_dir: &Path) -> io::Result<Self> {
        let folder = data_dir.join("media");
        std::fs::create_dir_all(&folder)?;
        let files = LocalFileSystem::new_with_prefix(&folder)
            .map_err(io::Error::other)?
            .with_fsync(true);
        Ok(Self {
            files: Arc::new(files),
            decoding: Arc::new(Semaphore::new(DECODINGS)),
            uploads: Arc::new(Semaphore::new(UPLOADS)),
        })
    }

    pub(super) fn decoding(&self) -> &Semaphore {
        &self.decoding
    }

    pub(super) fn uploads(&self) -> Arc<Semaphore> {
        self.uploads.clone()
    }

    /// Keeps bytes under a key.
    pub async fn put(&self, key: &str, bytes: Bytes) -> io::Result<()> {
        self.files
            .put(&path_of(key)?, PutPayload::from(bytes))
            .await
            .map(drop)
            .map_err(io_error)
    }
    /// The bytes under a key.
    pub async fn get(&self, key: &str) -> io::Result<Bytes> {
        let found = self.files.get(&path_of(key)?).await.map_err(io_error)?;
        found.bytes().await.map_err(io_error)
    }
    /// Forgets the bytes under a key; none there is no failure.
    pub async fn delete(&self, key: &str) -> io::Result<()> {
        match self.files.delete(&path_of(key)?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(io_error(error)),
        }
    }
}

fn path_of(key: &str) -> io::Result<path::Path> {
    path::Path::parse(key).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

fn io_error(error: object_store::Error) -> io::Error {
    let kind = match &error {
        object_store::Error::NotFound { .. } => io::ErrorKind::NotFound,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

#[async_trait]
impl MediaBytes for MediaStore {
    async fn bytes(&self, storage_key: &str) -> io::Result<Bytes> {
        self.get(storage_key).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_come_back_and_go_and_no_key_leaves_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let store = MediaStore::open(folder.path()).unwrap();
        store
            .put("ws_1/media_1", Bytes::from_static(b"bytes"))
            .await
            .unwrap();
        assert_eq!(store.get("ws_1/media_1").await.unwrap(), "bytes");
        store.delete("ws_1/media_1").await.unwrap();
        store.delete("ws_1/media_1").await.unwrap();
        assert_eq!(
            store.get("ws_1/media_1").await.unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        assert!(store.put("../outside", Bytes::new()).await.is_err());
    }
}
