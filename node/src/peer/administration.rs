//! What an operator at one node asks of the machine of another: a request of the local socket, carried to that node.
//!
//! Which paths are served is not here: the server hands the request to an [`Administration`], which knows them.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use raft::id::NodeId;
use tonic::Status;

use super::client::{control, refused};
use super::proto::admin_request::Asker as Message;
use super::{PeerError, PeerIdentity, Peers, Refusal, limits, proto};
use crate::environment::BoxFuture;

/// A request of the local socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminRequest {
    /// `GET` or `POST`.
    pub method: Method,
    /// Its path, without a query.
    pub path: String,
    /// JSON, or nothing.
    pub body: Bytes,
    /// Who asks.
    pub asker: Asker,
}

/// Who asks another node. Somebody always does: a request that does not say who is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asker {
    /// The asking node, or its own operator.
    Machine,
    /// Somebody who has come to the asking node over the network, as the administration writes him.
    Caller(String),
}

impl Asker {
    fn message(self) -> Message {
        match self {
            Self::Machine => Message::Machine(proto::Machine {}),
            Self::Caller(caller) => Message::Caller(caller),
        }
    }

    /// Nothing said is nobody, and never the machine.
    fn read(message: Option<Message>) -> Result<Self, Status> {
        match message {
            Some(Message::Machine(proto::Machine {})) => Ok(Self::Machine),
            Some(Message::Caller(caller)) => Ok(Self::Caller(caller)),
            None => Err(Refusal::Invalid.status("it is not said who asks")),
        }
    }
}

/// The answer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminAnswer {
    /// As over the local socket.
    pub status: StatusCode,
    /// JSON.
    pub body: Bytes,
}

/// Answers what other nodes' operators ask of this machine.
pub trait Administration: Debug + Send + Sync + 'static {
    /// Answers a request of this peer; what it does not serve is answered with an error as over the local socket.
    fn answer(&self, from: PeerIdentity, request: AdminRequest) -> BoxFuture<'static, AdminAnswer>;
}

impl Peers {
    /// Asks a peer what concerns its machine.
    pub async fn administer(
        &self,
        node: NodeId,
        request: AdminRequest,
        deadline: Duration,
    ) -> Result<AdminAnswer, PeerError> {
        let link = self.link(node, None)?;
        let AdminRequest { method, path, body, asker } = request;
        let asker = Some(asker.message());
        let message = proto::AdminRequest { method: method.as_str().to_owned(), path, body, asker };
        let request = self.request(node, message);
        let mut client = control(&link);
        let answer = self.complete(node, "administer", deadline, client.administer(request)).await?;
        let status = u16::try_from(answer.status).ok().and_then(|status| StatusCode::from_u16(status).ok());
        let unknown = || refused(node, Refusal::Failed, format!("it answered with status {}", answer.status));
        Ok(AdminAnswer { status: status.ok_or_else(unknown)?, body: answer.body })
    }
}

/// Answers a peer's request. It goes on when the peer goes away: a disk is added whole or not at all.
pub(super) async fn answer(
    administration: &Arc<dyn Administration>,
    from: PeerIdentity,
    request: proto::AdminRequest,
) -> Result<proto::AdminAnswer, Status> {
    let proto::AdminRequest { method, path, body, asker } = request;
    let asker = Asker::read(asker)?;
    let method =
        Method::from_bytes(method.as_bytes()).ok().filter(|method| [Method::GET, Method::POST].contains(method));
    let method = method.ok_or_else(|| Refusal::Invalid.status("GET or POST is expected"))?;
    if body.len() > limits::ADMIN_LIMIT_BYTES {
        return Err(Refusal::Invalid.status(format!("a body of {} bytes: too long", body.len())));
    }
    let answered = tokio::spawn(administration.answer(from, AdminRequest { method, path, body, asker })).await;
    let answer = answered.map_err(|error| Refusal::Failed.status(error.to_string()))?;
    Ok(proto::AdminAnswer { status: u32::from(answer.status.as_u16()), body: answer.body })
}

#[cfg(test)]
mod tests {
    use raft::id::RegionId;

    use super::*;

    #[derive(Debug)]
    struct Telling;

    impl Administration for Telling {
        fn answer(&self, _from: PeerIdentity, request: AdminRequest) -> BoxFuture<'static, AdminAnswer> {
            let body = format!("{:?}", request.asker).into();
            Box::pin(async move { AdminAnswer { status: StatusCode::OK, body } })
        }
    }

    #[tokio::test]
    async fn a_request_that_does_not_say_who_asks_is_refused() {
        let told: Arc<dyn Administration> = Arc::new(Telling);
        let asked = |asker| {
            let (method, path) = ("POST".to_owned(), "/disk/add".to_owned());
            let request = proto::AdminRequest { method, path, body: Bytes::new(), asker };
            answer(&told, PeerIdentity { node: NodeId(1), region: RegionId(1) }, request)
        };
        let refused = asked(None).await.unwrap_err();
        assert!(refused.message().contains("who asks"), "{refused:?}");
        for asker in [Asker::Machine, Asker::Caller("ann".to_owned())] {
            let answer = asked(Some(asker.clone().message())).await.unwrap();
            assert_eq!(answer.body, format!("{asker:?}"));
        }
    }
}
