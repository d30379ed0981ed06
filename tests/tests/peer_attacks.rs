//! The table of attacks on the port that nodes keep for each other: certificates that are none of the cluster's, those of a
//! node that was removed, and machines that would join without being asked to.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tests::certificates::{Authority, self_made};
use tests::cluster::{Cluster, Settings};
use tests::command::{Invitation, join_and_end, parse_invitation};
use tests::operator::{query, run};
use tests::peer::{Connection, Identity, LET_IN, is_let_in};
use tests::ports;
use tests::process::{self, Ended};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// How long a node may take to let somebody go who says nothing, or nothing sensible.
const SILENCE: Duration = Duration::from_mins(1);
/// How long a node that hears of the directory's changes may take to let a removed one go.
const REMOVAL: Duration = Duration::from_secs(15);
/// How long a join that nobody grants may try.
const JOIN: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_but_the_clusters_nodes_is_let_in() -> Result<()> {
    let folder = TempDir::new()?;
    let (own, clients) = (Authority::new("the registry's")?, Authority::new("the machines'")?);
    let server = own.issue(&["127.0.0.1"])?.write(folder.path(), "server")?;
    let health = ports::reserve()?;
    let keys = [
        ("api.tls_certificate", server.certificate.display().to_string()),
        ("api.tls_key", server.key.display().to_string()),
        ("api.client_ca", clients.write(folder.path().join("clients.pem"))?.display().to_string()),
        ("metrics.listen", health.address().to_string()),
    ];
    let keys = keys.map(|(key, value)| (key.to_owned(), value)).to_vec();
    let mut cluster = Cluster::start_with(1, Settings { keys, closed: true, ..Settings::default() }).await?;
    let verdict = attack(&cluster, &clients, folder.path()).await.and_then(|()| cluster.check_sound());
    assert!(verdict.is_ok(), "{:#}", verdict.unwrap_err());
    Ok(())
}

async fn attack(cluster: &Cluster, clients: &Authority, folder: &Path) -> Result<()> {
    let (node, peer) = (cluster.node(0), cluster.node(0).peer_address());
    let status = query(node.data(), &["status"]).await?;
    let id = status["cluster"].as_str().context("no id of the cluster")?;
    let names = [format!("node-1.{id}.regnode"), format!("region-1.{id}.regnode")];
    let names = names.each_ref().map(String::as_str);
    let genuine = Identity::copy(node.data())?.pair;
    is_let_in(peer, Some(&genuine), 1).await.context("the node's own certificate")?;

    // The right names, and the wrong signature.
    let namesake = Authority::new(&format!("Regnode cluster {id}"))?;
    for (what, pair) in [
        ("of an authority with the cluster's name", namesake.issue(&names)?),
        ("made by itself", self_made(&names)?),
        ("of the authority of clients, with the names of a node", clients.issue(&names)?),
        ("of a client", clients.issue_uri("spiffe://test/ci")?),
    ] {
        ensure!(is_let_in(peer, Some(&pair), 1).await.is_err(), "a certificate {what} is let in");
    }
    let refused = Connection::open(peer, None).await?.call(1).await?;
    ensure!(refused == "unauthenticated", "nobody in particular: {refused}");

    tokio::try_join!(plain_http(peer), half_a_handshake(peer), joins(cluster, folder))?;
    is_let_in(peer, Some(&genuine), 1).await.context("afterwards")
}

/// HTTP without TLS is no answer worth.
async fn plain_http(peer: SocketAddr) -> Result<()> {
    let mut stream = TcpStream::connect(peer).await?;
    stream.write_all(b"POST /regnode.peer.v1.Peer/Heartbeat HTTP/1.1\r\nHost: peer\r\n\r\n").await?;
    let mut answer = Vec::new();
    // It may end with a reset.
    let _ = timeout(SILENCE, stream.read_to_end(&mut answer)).await.context("plain HTTP keeps a connection")?;
    let text = String::from_utf8_lossy(&answer);
    ensure!(!text.contains("HTTP/"), "plain HTTP is answered: {text}");
    Ok(())
}

/// Whoever begins a handshake and never ends it is let go.
async fn half_a_handshake(peer: SocketAddr) -> Result<()> {
    let mut stream = TcpStream::connect(peer).await?;
    // The head of a record of 512 bytes, and its first one.
    stream.write_all(&[22, 3, 1, 2, 0, 1]).await?;
    let mut answer = Vec::new();
    let _ = timeout(SILENCE, stream.read_to_end(&mut answer)).await.context("half a handshake keeps a connection")?;
    Ok(())
}

/// Tokens that admit nobody, and somebody who stands between a machine and the cluster.
async fn joins(cluster: &Cluster, folder: &Path) -> Result<()> {
    let data = cluster.node(0).data();
    let short = parse_invitation(&run(data, &["token", "--lifetime", "1s"]).await?)?;
    let good = parse_invitation(&run(data, &["token"]).await?)?;
    let with = |token: String, number: usize| {
        let invitation = Invitation { token, ..good.clone() };
        async move { join(folder, number, &invitation).await }
    };
    // The last bytes of a token are the authority's fingerprint, those before them its secret.
    let other = |place: usize| {
        let mut token = good.token.clone().into_bytes();
        token[place] = if token[place] == b'A' { b'B' } else { b'A' };
        String::from_utf8(token).context("a token is ASCII")
    };
    let (wrong_secret, wrong_pin) = (other(30)?, other(good.token.len() - 20)?);
    let between = parse_invitation(&run(data, &["token"]).await?)?;
    let (secret, pin, short_one, no_token, ()) = tokio::try_join!(
        with(wrong_secret, 2),
        with(wrong_pin, 3),
        with(good.token[..good.token.len() - 8].to_owned(), 4),
        with("hello".to_owned(), 5),
        man_in_the_middle(folder, data, &between),
    )?;
    for (told, expected) in [
        (secret, "is not valid for this cluster"),
        (pin, "does not belong to the cluster of the join token"),
        (short_one, "it is too short"),
        (no_token, "this is not a join token"),
        // All others have taken longer than it was good.
        (join(folder, 1, &short).await?, "has expired"),
    ] {
        ensure!(told.contains(expected), "{expected:?} is expected: {told}");
    }
    // None of all this has used the good one up.
    let nodes = query(data, &["nodes"]).await?;
    let nodes = nodes["nodes"].as_array().or(nodes.as_array()).map_or(0, Vec::len);
    ensure!(nodes == 1, "{nodes} nodes");
    Ok(())
}

/// What a machine is told that does not join.
async fn join(folder: &Path, number: usize, invitation: &Invitation) -> Result<String> {
    let ports = [ports::reserve()?, ports::reserve()?];
    let addresses = ports.each_ref().map(ports::Port::address);
    let command = join_and_end(&folder.join(format!("machine{number}")), addresses, invitation)?;
    let Ended { code, stderr, .. } = process::ended(command, JOIN).await?;
    ensure!(code != Some(0), "machine {number} has joined");
    Ok(stderr)
}

/// Somebody where the node should be, with a certificate of his own and that of the cluster's authority, which is no secret,
/// learns nothing: the token is not sent to him.
async fn man_in_the_middle(folder: &Path, data: &Path, invitation: &Invitation) -> Result<()> {
    let own = Authority::new("Regnode cluster")?;
    let authority = std::fs::read_to_string(data.join("identity/ca.crt"))?;
    let pair = own.issue(&["node-1.00000000000000000000000000000001.regnode"])?;
    let server = pair.server_with(&authority)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let listening = tokio::spawn(async move {
        let acceptor = tokio_rustls::TlsAcceptor::from(server);
        while let Ok((stream, _)) = listener.accept().await {
            if acceptor.accept(stream).await.is_ok() {
                return;
            }
        }
    });
    let told = join(folder, 6, &Invitation { address, ..invitation.clone() }).await?;
    ensure!(told.contains("certificate"), "{told}");
    ensure!(!listening.is_finished(), "a handshake with somebody else was finished");
    listening.abort();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_removed_node_has_kept_opens_nothing() -> Result<()> {
    let mut cluster = Cluster::start(3).await?;
    let verdict = removed(&mut cluster).await.and_then(|()| cluster.node_mut(0).check_sound());
    assert!(verdict.is_ok(), "{:#}", verdict.unwrap_err());
    Ok(())
}

async fn removed(cluster: &mut Cluster) -> Result<()> {
    let stolen = Identity::copy(cluster.node(2).data())?.pair;
    let others = [(1, cluster.node(0).peer_address()), (2, cluster.node(1).peer_address())];
    let mut open = Vec::new();
    for (id, address) in others {
        let mut connection = Connection::open(address, Some(&stolen)).await?;
        ensure!(connection.call(id).await? == LET_IN, "node {id} refuses a member");
        open.push(connection);
    }
    cluster.node_mut(2).kill()?;
    run(cluster.node(0).data(), &["leave", "node3", "--force"]).await?;
    for connection in open {
        connection.ended(REMOVAL).await.context("a connection of the removed node")?;
    }
    for (id, address) in others {
        let refused = Connection::open(address, Some(&stolen)).await?.call(id).await?;
        ensure!(refused == "removed", "node {id}: {refused}");
    }
    Ok(())
}
