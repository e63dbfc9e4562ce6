"""What is wrong in a state machine's definition, found without AWS: each fault with its place in the file.

Rules of the Amazon States Language specification (states-language.net) and the Step Functions developer guide. An error
is what AWS refuses or cannot run; a warning is what it takes and what is likely to hurt.
"""

from dataops.deploy.asl.fields import PAYLOAD_BYTES, Fault
from dataops.deploy.asl.history import HISTORY_EVENTS, count_events
from dataops.deploy.asl.machine import check_machine

__all__ = ["HISTORY_EVENTS", "PAYLOAD_BYTES", "Fault", "check_machine", "count_events"]
