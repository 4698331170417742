import type { ChannelId, Viewer } from './documents';
import type { Gateway } from './gateway';
import type { Phone } from './phone';
import type { Persona } from './world';

/** One app on one phone, signed in as its owner. */
export interface App {
  channel: ChannelId;
  phone: Phone;
  persona: Persona;
  gateway: Gateway;
}

/** The context of a service screen: the app, and the viewer as loaded by the service list. */
export interface Visit extends App {
  viewer: Viewer;
}
