// Reads {roots, cases} from stdin; writes one {verified, fmt, error} per case. Roots are PEM by format.
import { SettingsService, verifyRegistrationResponse } from '@simplewebauthn/server';
import { readFileSync } from 'node:fs';

const { roots, cases } = JSON.parse(readFileSync(0, 'utf8'));
for (const [identifier, certificates] of Object.entries(roots)) {
  SettingsService.setRootCertificates({ identifier, certificates });
}

const answers = [];
for (const { response, challenge, origin, rpId } of cases) {
  try {
    const { verified, registrationInfo } = await verifyRegistrationResponse({
      response,
      expectedChallenge: challenge,
      expectedOrigin: origin,
      expectedRPID: rpId,
      requireUserVerification: false,
      supportedAlgorithmIDs: [-7, -8, -35, -36, -257],
    });
    answers.push({ verified, fmt: registrationInfo?.fmt });
  } catch (error) {
    answers.push({ verified: false, error: String(error?.message ?? error) });
  }
}
process.stdout.write(JSON.stringify(answers));
