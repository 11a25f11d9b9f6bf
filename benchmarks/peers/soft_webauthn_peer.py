"""soft-webauthn as a contestant: makes assertions; reads a line of material, then counts; answers with the processor seconds spent."""

import json
import sys
import time

from soft_webauthn import SoftWebauthnDevice

material = json.loads(sys.stdin.readline())
device = SoftWebauthnDevice()
device.cred_init(material["rpId"], b"user")
options = {"publicKey": {"challenge": b"c" * 32, "rpId": material["rpId"]}}
device.get(options, material["origin"])
print("ready", flush=True)
for line in sys.stdin:
    start = time.process_time()
    for _ in range(int(line)):
        device.get(options, material["origin"])
    print(time.process_time() - start, flush=True)
