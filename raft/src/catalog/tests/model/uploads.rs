//! Uploads in the model.

use std::collections::BTreeSet;

use storage::shard::ExtentIndex;

use super::super::store::*;
use super::{Model, REPOSITORIES, Upload};
use crate::catalog::*;

impl Model {
    pub(super) fn start(&mut self, store: &mut Store, number: u8, name: usize) {
        // The object of a session's number may be in use as a blob's while the session is gone.
        let taken = store.view().object(object(number)).unwrap().is_some();
        let response = store.start(number, REPOSITORIES[name]);
        match self.uploads.get(&number) {
            Some(upload) if upload.repository == name => {
                assert!(matches!(response, Response::Uploaded { .. }), "{response:?}");
            }
            None if !taken && self.foreign(name).is_some() => assert_eq!(Some(response), self.foreign(name)),
            None if !taken => {
                assert!(matches!(response, Response::Uploaded { .. }), "{response:?}");
                let upload = Upload { repository: name, length_bytes: 0, changes: 0, finished: None };
                self.uploads.insert(number, upload);
            }
            _ => assert_eq!(response, Response::Stale),
        }
    }

    pub(super) fn advance(&mut self, store: &mut Store, number: u8, count: u64, stale: bool, degraded: bool) {
        let mut position = store.position(number);
        if stale {
            position.epoch += 1;
        }
        let mut extents = store.extents(count);
        if degraded {
            for extent in &mut extents {
                let reason = ShortfallReason::DegradedWrite;
                extent.shortfall = Some(Shortfall { missing: Vec::new(), reason });
            }
        }
        let command = Command::AdvanceUpload { session: session(number), advance: advance(position, extents) };
        let response = store.apply(command.clone());
        let foreign = self.uploads.get(&number).and_then(|upload| self.foreign(upload.repository));
        match self.uploads.get_mut(&number).filter(|upload| upload.finished.is_none()) {
            None => assert_eq!(response, Response::UploadUnknown),
            Some(_) if count > 0 && foreign.is_some() => assert_eq!(Some(response), foreign),
            Some(_) if stale => assert!(matches!(response, Response::UploadMoved { .. })),
            Some(upload) => {
                upload.length_bytes += count * EXTENT_BYTES;
                upload.changes += 1;
                assert_eq!(response, Response::Uploaded { position: store.position(number) });
                assert_eq!(store.repeat(command), response);
            }
        }
    }

    pub(super) fn rewrite(&mut self, store: &mut Store, number: u8, extent: u32) {
        let Some(upload) = self.uploads.get_mut(&number).filter(|upload| upload.finished.is_none()) else { return };
        let known = u64::from(extent) * EXTENT_BYTES < upload.length_bytes;
        let replaced = ReplacedExtent { extent: ExtentIndex(extent), body: store.coded(), shortfall: None };
        let advance = Advance { replaced: vec![replaced], ..advance(store.position(number), Vec::new()) };
        let response = store.apply(Command::AdvanceUpload { session: session(number), advance });
        if known {
            upload.changes += 1;
            assert!(matches!(response, Response::Uploaded { .. }), "{response:?}");
        } else {
            assert!(matches!(response, Response::Malformed { .. }), "{response:?}");
        }
    }

    pub(super) fn finish(&mut self, store: &mut Store, number: u8, blob: u8, more: bool) {
        let held = self.uploads.get(&number).map_or(0, |upload| upload.length_bytes);
        let missing = if more { Self::target(blob).saturating_sub(held) } else { 0 };
        let extents = store.extents(missing / EXTENT_BYTES);
        let whole = store.view().blob(&digest(blob)).unwrap().is_some_and(|found| {
            store.view().shortfalls(None, usize::MAX).unwrap().iter().all(|(key, _)| key.object != found.object)
        });
        let response = store.finish(number, extents, blob);
        let foreign = self.uploads.get(&number).and_then(|upload| self.foreign(upload.repository));
        let Some(upload) = self.uploads.get_mut(&number) else {
            assert_eq!(response, Response::UploadUnknown);
            return;
        };
        if let Some(finished) = upload.finished {
            if finished == blob && self.links.contains(&(upload.repository, blob)) {
                let length_bytes = self.blobs[&blob];
                assert_eq!(response, Response::Published { new_object: false, length_bytes });
                let key = (upload.repository, blob);
                self.told(store, key);
            } else {
                assert_eq!(response, Response::UploadUnknown);
            }
            return;
        }
        if let Some(foreign) = foreign {
            assert_eq!(response, foreign);
            return;
        }
        let length_bytes = held + missing;
        if self.blobs.get(&blob).is_some_and(|known| *known != length_bytes) {
            assert!(matches!(response, Response::Malformed { .. }), "{response:?}");
            return;
        }
        assert_eq!(response, Response::Published { new_object: !whole, length_bytes });
        upload.length_bytes = length_bytes;
        upload.changes += 1;
        upload.finished = Some(blob);
        self.blobs.insert(blob, length_bytes);
        let key = (upload.repository, blob);
        self.links.insert(key);
        self.told(store, key);
    }

    pub(super) fn expire(&mut self, store: &mut Store, limit: u32) {
        let before: BTreeSet<u8> = self.uploads.keys().copied().collect();
        let Response::Count { count } = store.apply(Command::ExpireUploads { limit }) else { panic!() };
        assert!(count <= u64::from(limit));
        let now = store.view().clock().unwrap();
        let left = |number: &u8| store.view().upload(session(*number)).unwrap();
        let overdue = before.iter().filter(|number| left(number).is_some_and(|upload| upload.expires <= now)).count();
        assert!(overdue == 0 || count == u64::from(limit), "expired sessions are left");
        self.uploads.retain(|number, _| left(number).is_some());
        assert_eq!(before.len() - self.uploads.len(), usize::try_from(count).unwrap());
    }
}
