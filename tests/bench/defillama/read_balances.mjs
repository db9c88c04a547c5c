// Reads balances with @defillama/sdk each time a line comes in, and says how many it read.
// argv: contract of Multicall3, calls of one batch, height, file with {"addresses": […], "tokens": […]}. The node is ETHEREUM_RPC.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import sdk from "@defillama/sdk";

const [multicall, batch, height, file] = process.argv.slice(2);
const { addresses, tokens } = JSON.parse(readFileSync(file, "utf8"));
// Without skipCache a second reading would come from a file.
const common = { chain: "ethereum", block: Number(height), chunkSize: Number(batch), skipCache: true };

async function read() {
  const balances = await sdk.api2.abi.multiCall({
    ...common,
    abi: "function getEthBalance(address) view returns (uint256)",
    calls: addresses.map((params) => ({ target: multicall, params })),
  });
  // One after the other: all at once, its encoding keeps it from reading answers until it gives them up.
  for (const target of tokens) {
    const calls = addresses.map((params) => ({ target, params }));
    balances.push(...(await sdk.api2.abi.multiCall({ ...common, abi: "erc20:balanceOf", calls })));
  }
  return balances;
}

for await (const _ of createInterface({ input: process.stdin })) {
  const balances = await read();
  const total = balances.reduce((sum, amount) => sum + BigInt(amount), 0n);
  console.log(JSON.stringify({ balances: balances.length, total: total.toString() }));
}
