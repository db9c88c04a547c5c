# pragma version 0.4.3
# pragma evm-version shanghai
"""
@title A wallet with several owners, for the sandbox
@license GPL-3.0-or-later
@notice An owner proposes a call, other owners confirm it, and the confirmation that reaches the threshold makes the
    call: ether and tokens leave no other way. Signatures of a threshold of owners are the wallet's own (ERC-1271), in
    the order in which a Safe wants them, and owners and threshold are told in a Safe's words.
"""

MAX_OWNERS: constant(uint256) = 5
MAX_DATA: constant(uint256) = 1024
VALID_SIGNATURE: constant(bytes4) = 0x1626ba7e  # the value that ERC-1271 wants for yes
INVALID_SIGNATURE: constant(bytes4) = 0xffffffff  # and what wallets answer for no

struct Proposal:
    receiver: address
    amount: uint256
    data: Bytes[MAX_DATA]
    confirmations: uint256
    done: bool

event Received:
    sender: indexed(address)
    amount: uint256

event Executed:
    number: indexed(uint256)

owners: DynArray[address, MAX_OWNERS]
threshold: uint256
proposals: public(HashMap[uint256, Proposal])
confirmed: public(HashMap[uint256, HashMap[address, bool]])
proposal_count: public(uint256)


@deploy
def __init__(owners: DynArray[address, MAX_OWNERS], threshold: uint256):
    assert threshold > 0 and threshold <= len(owners), "bad threshold"
    previous: address = empty(address)
    for owner: address in owners:
        assert convert(owner, uint160) > convert(previous, uint160), "owners not ascending"
        previous = owner
    self.owners = owners
    self.threshold = threshold


@external
@payable
def __default__():
    log Received(sender=msg.sender, amount=msg.value)


@external
def propose(receiver: address, amount: uint256, data: Bytes[MAX_DATA]) -> uint256:
    """
    @notice Propose a call and confirm it as the caller
    @return The proposal's number
    """
    number: uint256 = self.proposal_count
    self.proposal_count = number + 1
    self.proposals[number] = Proposal(receiver=receiver, amount=amount, data=data, confirmations=0, done=False)
    self._confirm(number)
    return number


@external
def confirm(number: uint256):
    """
    @notice Confirm a proposal; the confirmation that reaches the threshold makes the call
    """
    assert number < self.proposal_count, "no such proposal"
    self._confirm(number)


@internal
def _confirm(number: uint256):
    assert msg.sender in self.owners, "not an owner"
    assert not self.confirmed[number][msg.sender], "confirmed already"
    assert not self.proposals[number].done, "done already"
    self.confirmed[number][msg.sender] = True
    self.proposals[number].confirmations += 1
    if self.proposals[number].confirmations == self.threshold:
        self.proposals[number].done = True
        raw_call(self.proposals[number].receiver, self.proposals[number].data, value=self.proposals[number].amount)
        log Executed(number=number)


@external
@view
def getOwners() -> DynArray[address, MAX_OWNERS]:
    """
    @notice Return the owners, ascending
    """
    return self.owners


@external
@view
def getThreshold() -> uint256:
    """
    @notice Return how many owners must agree
    """
    return self.threshold


@external
@view
def isValidSignature(digest: bytes32, signatures: Bytes[MAX_DATA]) -> bytes4:
    """
    @notice Tell whether owners signed a digest (ERC-1271)
    @param signatures r, s, v (65 bytes) of `threshold` owners, one after another, by ascending owner
    """
    if len(signatures) != 65 * self.threshold:
        return INVALID_SIGNATURE
    previous: address = empty(address)
    for index: uint256 in range(MAX_OWNERS):
        if index == self.threshold:
            break
        r: bytes32 = convert(slice(signatures, 65 * index, 32), bytes32)
        s: bytes32 = convert(slice(signatures, 65 * index + 32, 32), bytes32)
        v: uint256 = convert(slice(signatures, 65 * index + 64, 1), uint256)
        signer: address = ecrecover(digest, v, r, s)
        if convert(signer, uint160) <= convert(previous, uint160) or signer not in self.owners:
            return INVALID_SIGNATURE
        previous = signer
    return VALID_SIGNATURE
