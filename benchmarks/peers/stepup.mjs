// Node.js with SimpleWebAuthn and no database: `node stepup.mjs PORT FILE`.
import http from 'node:http';
import fs from 'node:fs';
import { verifyAuthenticationResponse } from '@simplewebauthn/server';

const material = JSON.parse(fs.readFileSync(process.argv[3]));
const publicKey = new Uint8Array(Buffer.from(material.cose, 'hex'));
http.createServer((request, response) => {
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', async () => {
    if (request.method === 'GET') return response.end('{}');
    const body = JSON.parse(Buffer.concat(parts));
    const { verified } = await verifyAuthenticationResponse({
      response: body.assertion, expectedChallenge: body.challenge, expectedOrigin: material.origin, expectedRPID: material.rpId,
      credential: { id: material.credentialId, publicKey, counter: 0 },
    });
    const answer = JSON.stringify({ ok: verified });
    response.writeHead(verified ? 200 : 403, { 'content-type': 'application/json', 'content-length': answer.length });
    response.end(answer);
  });
}).listen(Number(process.argv[2]), '127.0.0.1');
