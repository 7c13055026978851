//! What the interface runs on: a session that takes bytes and gives bytes.

/// Who a session is, and in which database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// The role; `None` is the superuser that the cluster was made with, whatever its name.
    pub user: Option<String>,
    /// The database.
    pub database: String,
    /// Settings as a start-up packet gives them, in its order: what `RESET` goes back to.
    pub parameters: Vec<(String, String)>,
}

/// A session has ended, and this is why; empty where the session itself has told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended(pub String);

/// A PostgreSQL backend without a client: the messages of the wire protocol, version 3, without the start-up.
pub trait Backend {
    /// Gives the session `input`, and runs it until it wants more; what it says goes to `output`, in pieces.
    ///
    /// # Errors
    /// When the session has ended, or ends now. What it said before went to `output`.
    fn exchange(&mut self, input: &[u8], output: &mut dyn FnMut(&[u8])) -> Result<(), Ended>;

    /// Ends the session, if there is one, and begins another on the same cluster. `output` gets what a session says when it
    /// begins: parameter status messages up to `ReadyForQuery`; or the message that tells why it did not begin.
    ///
    /// # Errors
    /// When no session has begun.
    fn restart(&mut self, profile: &Profile, output: &mut dyn FnMut(&[u8])) -> Result<(), Ended>;

    /// Settings of the server, for the sessions that [`Backend::restart`] begins. They replace those given before.
    fn configure(&mut self, settings: &[(String, String)]);

    /// Ends the session and closes the cluster.
    ///
    /// # Errors
    /// What went wrong; what was committed is safe.
    fn close(self) -> Result<(), String>;
}
