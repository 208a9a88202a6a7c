//! What becomes of packets that get no ordinary answer, and what their cookies say, in words.

use super::label;

label! {
    /// Why a packet got no answer at all.
    Dropped {
        /// Not even a header.
        Short = "short",
        /// A response, which is never answered.
        Response = "response",
        /// From port 0, to which nothing can be sent.
        Source = "source",
        /// From a port of a service that answers whatever it gets.
        Reflector = "reflector",
        /// From the address and port that was asked.
        Ourselves = "self",
        /// From a service's port, and no question that can be read.
        Malformed = "malformed",
        /// More octets than any question has.
        Long = "long",
        /// The network refused our answer.
        Send = "send",
    }
}

label! {
    /// What a client's cookie says of it (RFC 7873).
    CookieKind {
        /// It asks for one of ours.
        New = "new",
        /// It was given this one, lately and at its address.
        Good = "good",
        /// It was not.
        Bad = "bad",
    }
}

label! {
    /// What a client got in place of an answer, for asking more than it may.
    Limited {
        /// Nothing.
        Dropped = "dropped",
        /// TC: it should come by TCP.
        Truncated = "truncated",
        /// REFUSED.
        Refused = "refused",
    }
}
