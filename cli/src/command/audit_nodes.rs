//! Records of several nodes as one stream, sorted by time, of which only a page of each node is held at a time.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use anyhow::Result;
use node::admin::AuditSearchRequest;
use node::audit::{Cursor, Filter};
use serde::Deserialize;

use crate::admin_client;

/// A node to ask: how it is asked for, and its name for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) id: String,
    pub(super) name: String,
}

/// The nodes that are meant: the one that is named, or all.
pub(super) async fn nodes(data_dir: &Path, named: Option<&str>) -> Result<Vec<Asked>> {
    if let Some(named) = named {
        return Ok(vec![Asked { id: named.to_owned(), name: named.to_owned() }]);
    }
    let nodes = admin_client::status(data_dir).await?.nodes;
    Ok(nodes.into_iter().map(|node| Asked { id: format!("#{}", node.id), name: node.name }).collect())
}

/// What of a record decides on its place.
#[derive(Deserialize)]
struct Dated {
    time: String,
}

/// A record: its time, the name of its node, and its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) time: String,
    pub(super) node: String,
    pub(super) line: String,
}

struct Stream {
    node: Asked,
    newest: Option<u64>,
    next: Option<Cursor>,
    ended: bool,
    page: VecDeque<Found>,
}

/// Records of nodes.
pub(super) struct Records {
    data_dir: PathBuf,
    filter: Filter,
    streams: Vec<Stream>,
    /// Nodes that did not answer, with what went wrong.
    pub(super) silent: Vec<(String, String)>,
}

impl Records {
    /// Records that fit; only among so many of the newest ones of each node, if that is said.
    pub(super) fn new(data_dir: &Path, nodes: Vec<Asked>, filter: Filter, newest: Option<u64>) -> Self {
        let stream = |node| Stream { node, newest, next: None, ended: false, page: VecDeque::new() };
        Self {
            data_dir: data_dir.to_owned(),
            filter,
            streams: nodes.into_iter().map(stream).collect(),
            silent: Vec::new(),
        }
    }

    /// The oldest record that was not returned yet; `None` once there is no more at present.
    pub(super) async fn next(&mut self) -> Option<Found> {
        let mut index = 0;
        while index < self.streams.len() {
            let stream = &mut self.streams[index];
            match fill(stream, &self.data_dir, &self.filter).await {
                Ok(()) => index += 1,
                Err(error) => {
                    let name = self.streams.remove(index).node.name;
                    self.silent.push((name, format!("{error:#}")));
                }
            }
        }
        let oldest = self.streams.iter_mut().filter(|stream| !stream.page.is_empty());
        let oldest = oldest.min_by(|left, right| left.page[0].time.cmp(&right.page[0].time))?;
        oldest.page.pop_front()
    }

    /// Asks again from where each log ended.
    pub(super) fn resume(&mut self) {
        for stream in &mut self.streams {
            stream.ended = false;
        }
    }
}

/// Asks until there is a record, or the end is reached.
async fn fill(stream: &mut Stream, data_dir: &Path, filter: &Filter) -> Result<()> {
    while stream.page.is_empty() && !stream.ended {
        let newest = stream.newest.filter(|_| stream.next.is_none());
        let request = AuditSearchRequest { filter: filter.clone(), from: stream.next, newest, limit: 1000 };
        let answer = admin_client::audit_search(data_dir, &stream.node.id, &request).await?;
        (stream.next, stream.ended) = (Some(answer.next), answer.ended);
        for record in answer.records {
            let time = serde_json::from_str::<Dated>(record.get())?.time;
            stream.page.push_back(Found { time, node: answer.name.clone(), line: record.get().to_owned() });
        }
    }
    Ok(())
}
