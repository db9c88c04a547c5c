# pragma version 0.4.3
# pragma evm-version shanghai
"""
@title A dollar token with 6 decimals, for the sandbox
@license GPL-3.0-or-later
@notice It behaves where it matters like the token it stands for: `transfer`, `transferFrom` and `approve` return
    nothing at all (callers that expect a boolean fail on it), and only the owner issues and redeems. It has no fee,
    no pause and no block list.
@dev There is no constructor, because its code is put at the real token's address. The first caller of `initialise`
    becomes the owner.
"""

event Transfer:
    sender: indexed(address)
    receiver: indexed(address)
    amount: uint256

event Approval:
    owner: indexed(address)
    spender: indexed(address)
    amount: uint256

event Issue:
    amount: uint256

event Redeem:
    amount: uint256

name: public(constant(String[16])) = "Sandbox Dollar"
symbol: public(constant(String[8])) = "USDT"
decimals: public(constant(uint256)) = 6

balanceOf: public(HashMap[address, uint256])
allowance: public(HashMap[address, HashMap[address, uint256]])
totalSupply: public(uint256)
owner: public(address)


@external
def initialise():
    """
    @notice Make the caller the owner, once
    """
    assert self.owner == empty(address), "initialised already"
    self.owner = msg.sender


@internal
def _move(sender: address, receiver: address, amount: uint256):
    assert receiver != empty(address), "no receiver"
    self.balanceOf[sender] -= amount
    self.balanceOf[receiver] += amount
    log Transfer(sender=sender, receiver=receiver, amount=amount)


@external
def transfer(receiver: address, amount: uint256):
    """
    @notice Move tokens of the caller
    """
    self._move(msg.sender, receiver, amount)


@external
def approve(spender: address, amount: uint256):
    """
    @notice Let `spender` move up to `amount` of the caller's tokens
    """
    self.allowance[msg.sender][spender] = amount
    log Approval(owner=msg.sender, spender=spender, amount=amount)


@external
def transferFrom(sender: address, receiver: address, amount: uint256):
    """
    @notice Move tokens that `sender` has approved for the caller
    """
    self.allowance[sender][msg.sender] -= amount
    self._move(sender, receiver, amount)


@external
def issue(amount: uint256):
    """
    @notice Create tokens for the owner
    """
    assert msg.sender == self.owner, "not the owner"
    self.totalSupply += amount
    self.balanceOf[msg.sender] += amount
    log Issue(amount=amount)


@external
def redeem(amount: uint256):
    """
    @notice Destroy tokens of the owner
    """
    assert msg.sender == self.owner, "not the owner"
    self.totalSupply -= amount
    self.balanceOf[msg.sender] -= amount
    log Redeem(amount=amount)
