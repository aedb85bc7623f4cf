// Usage: node node_sdk.mjs <folder of node_modules> <API address> <write key>
import { createRequire } from "node:module";

const [modules, address, writeKey] = process.argv.slice(2);
const { Analytics } = createRequire(`${modules}/`)("@segment/analytics-node");

// In the local cloud the API lies below a path; on AWS `path` is the SDK's own default.
const path = `${new URL(address).pathname.replace(/\/$/, "")}/v1/batch`;
const analytics = new Analytics({ writeKey, host: new URL(address).origin, path, maxRetries: 0 });
const failures = [];
analytics.on("error", (error) => failures.push(String(error.reason ?? error.code)));
analytics.identify({ userId: "node-1", traits: { email: "node@example.com", plan: "gold" } });
analytics.track({ userId: "node-1", event: "Signed In" });
analytics.track({ userId: "node-1", event: "Order Completed", properties: { order_id: "1", total: 3980 } });
analytics.page({ userId: "node-1", properties: { url: "https://www.example.jp/products/tea?x=1" } });
analytics.alias({ userId: "node-1", previousId: "node-visitor" });
analytics.group({ userId: "node-1", groupId: "g" });
await analytics.closeAndFlush({ timeout: 10_000 });
if (failures.length) throw new Error(failures.join());
